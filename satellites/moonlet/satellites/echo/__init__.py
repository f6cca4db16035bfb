"""Echo: listens to what is said, keeps a rolling mood per entity, and tells Sage of stories."""

from moonlet.satellites.echo.handlers import echo
from moonlet.satellites.echo.messages import Post, SocialMediaData

__all__ = ["Post", "SocialMediaData", "echo"]
