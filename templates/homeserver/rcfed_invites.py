"""Written by rcfed. Refuses invites from other servers that the bridge could not serve, with a reason for the inviter.

Synapse would accept them: it knows every room version and never reads encrypted messages. The bridge would then be in a
room where it understands nothing, and nobody would be told.
"""

import logging

from synapse.module_api import NOT_SPAM, errors

logger = logging.getLogger(__name__)


class Invites:
    """A module of Synapse (docs/modules/spam_checker_callbacks.md)."""

    def __init__(self, config, api):
        self.config = config
        try:
            api.register_spam_checker_callbacks(federated_user_may_invite=self.check)
        except TypeError:
            # Synapse before the callback existed: everything else works, so it is no reason not to start.
            logger.error("rcfed: this Synapse cannot refuse invites; some will be accepted and then lead nowhere")

    async def check(self, event):
        why = self.refusal(event)
        if why is None:
            return NOT_SPAM
        logger.info("rcfed: refused an invite of %s: %s", event.sender, why)
        return errors.Codes.FORBIDDEN, {"error": why}

    def refusal(self, event):
        version = event.room_version.identifier
        if version not in self.config["room_versions"]:
            return self.config["version_refused"].replace("VERSION", version)
        state = event.unsigned.get("invite_room_state") or []
        if any(isinstance(one, dict) and one.get("type") == "m.room.encryption" for one in state):
            return self.config["encryption_refused"]
        return None
