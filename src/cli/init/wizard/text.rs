//! What is said beside the questions: why each is asked, and what an answer leads to.

use crate::compat;
use crate::config::Profile;
use crate::domain::DomainName;

pub(super) const BEGIN: &str = "Nothing has been changed yet, and nothing will be before you have seen the plan.\n\
                                Ctrl-C leaves the machine as it is.";
pub(super) const FEDERATED: &str = "\nThe federated domain stands after the colon in @user:example.org.\n\
                                    It is permanent: other servers know people and rooms by it.";
pub(super) const CHAT: &str = "\nWhere people open Rocket.Chat.";
pub(super) const MATRIX: &str = "\nWhere other servers reach the homeserver.";
pub(super) const SITE: &str = "\nA web site cannot answer everything other servers ask of a federated domain.";
pub(super) const EMAIL: &str = "\nFor Let's Encrypt and the administrator of Rocket.Chat. Empty for none.";
pub(super) const PROFILE: &str = "\nWhich servers run. The plan says more about each before you confirm.";
pub(super) const ADMINISTRATOR: &str =
    "\nThe first administrator of Rocket.Chat. The password is made and shown at the end.";
pub(super) const TOKEN: &str = "\nThe workspace's registration token, from https://cloud.rocket.chat. It is not shown.\n\
     Empty for none: Rocket.Chat may then make the workspace read-only.";
pub(super) const TOKEN_TAKEN: &str = "  taken; it is written once you have confirmed";
pub(super) const NO_TOKEN: &str = "  none";
pub(super) const LICENSE: &str = "\nA file with a Rocket.Chat licence that includes federation.";

/// Who keeps the name that a web site has already.
pub(super) fn beside_a_site(federated: &DomainName, chat: &DomainName) -> [String; 3] {
    [
        format!("@user:{chat}  The web site stays as it is (recommended)"),
        format!("@user:{federated}  The web site stays and forwards two paths"),
        format!("@user:{federated}  This machine answers instead of the web site"),
    ]
}

/// A profile in one line, with what speaks against it first.
pub(super) fn honest_line(profile: Profile) -> String {
    let old =
        compat::end_of_life(profile).map_or_else(String::new, |end| format!("{}, past its end of life; ", end.what));
    let what = match profile {
        Profile::Dendrite => "Dendrite: least memory",
        Profile::Synapse => "Synapse: as its docs say",
        Profile::Native => "Rocket.Chat 8.5 LTS, supported; needs a licence with federation",
    };
    format!("{:<9} {old}{what}", profile.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_fits_a_terminal() {
        let name = |text| DomainName::parse(text).unwrap();
        let plain = [
            BEGIN,
            FEDERATED,
            CHAT,
            MATRIX,
            SITE,
            EMAIL,
            PROFILE,
            ADMINISTRATOR,
            TOKEN,
            TOKEN_TAKEN,
            NO_TOKEN,
            LICENSE,
        ];
        let choices = beside_a_site(&name("example.org"), &name("chat.example.org"));
        let all: Vec<String> =
            plain.into_iter().map(str::to_owned).chain(choices).chain(Profile::ALL.map(honest_line)).collect();
        let all = all.join("\n");
        for line in all.lines() {
            // Two for the mark of the one that is chosen.
            assert!(line.chars().count() <= 96, "{line}");
        }
        insta::assert_snapshot!(all);
    }
}
