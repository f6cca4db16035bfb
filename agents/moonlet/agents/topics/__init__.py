"""Topics: messages for whoever listens, published and subscribed to."""

from moonlet.agents.topics.publishing import Published, publish
from moonlet.agents.topics.subscription import From, TopicSubscription, subscription_name
from moonlet.agents.topics.topic_message import TopicMessage

__all__ = ["From", "Published", "TopicMessage", "TopicSubscription", "publish", "subscription_name"]
