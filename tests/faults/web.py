"""Faults in the web console: who reaches it, and what its page does with texts from anybody."""

from tests.faults.fault import Fault

GUARD = "tests/web/test_web_guard.py::"
LIVE = "tests/web/test_web_live.py::"
HOSTILE = "tests/web/test_web_hostile.py::"
WEB = "web/moonlet/web/"

WEB_FAULTS: tuple[Fault, ...] = (
    Fault(
        "web",
        GUARD + "test_without_a_cookie_nothing_is_served",
        "whoever calls this machine's name is let in",
        (
            (
                WEB + "guard/web_guard.py",
                "elif not self._access.knows(self._session(headers)):",
                "elif False:",
            ),
        ),
    ),
    Fault(
        "web",
        GUARD + "test_a_foreign_name_is_refused_though_it_leads_here",
        "any name that leads here will do",
        (
            (
                WEB + "guard/web_guard.py",
                "if host not in self._access.hosts:",
                "if not host:",
            ),
        ),
    ),
    Fault(
        "web",
        GUARD + "test_a_page_from_elsewhere_is_refused",
        "a page from elsewhere may ask with the browser's cookie",
        (
            (
                WEB + "guard/web_guard.py",
                'if site not in (b"none", b"same-origin") and not navigates:',
                "if False:",
            ),
        ),
    ),
    Fault(
        "web",
        GUARD + "test_an_address_lets_one_browser_in_and_the_next_is_printed",
        "an address lets in everybody who has seen it",
        (
            (
                WEB + "guard/access.py",
                "        self._token = secrets.token_urlsafe(24)\n"
                "        session = secrets.token_urlsafe(24)\n",
                "        session = secrets.token_urlsafe(24)\n",
            ),
        ),
    ),
    Fault(
        "web",
        GUARD + "test_what_is_shown_to_a_stranger_holds_no_markup_of_theirs",
        "the address that a stranger asked for is markup",
        (
            (
                WEB + "guard/web_guard.py",
                'there = escape(f"{path}?{query}" if query else path)',
                'there = f"{path}?{query}" if query else path',
            ),
        ),
    ),
    Fault(
        "web",
        GUARD + "test_beyond_this_machine_only_with_tls",
        "histories travel in the open",
        (
            (
                WEB + "web_console.py",
                "if not self.is_local and self.certificate is None:",
                "if False:",
            ),
        ),
    ),
    Fault(
        "web",
        LIVE + "test_a_console_that_was_started_anew_goes_on_where_the_browser_was",
        "a console that is started anew knows nothing of before",
        (
            (
                WEB + "live/tail.py",
                "self._wanted = frontier",
                "self._wanted = {}",
            ),
        ),
    ),
    Fault(
        "web",
        HOSTILE + "test_a_record_that_is_garbage_is_one_row_and_the_others_are_there",
        "one record that is garbage hides a whole history",
        (
            (
                WEB + "answers/histories.py",
                "            rows.append(unreadable(str(agent), revision, error))\n",
                "            raise error\n",
            ),
        ),
    ),
    Fault(
        "web",
        HOSTILE + "test_answers_are_shared_while_they_are_made_and_for_a_second",
        "who leaves ends an answer for all who wait for it",
        (
            (
                WEB + "shared_answers.py",
                "return await asyncio.shield(found[1])",
                "return await found[1]",
            ),
        ),
    ),
)
