//! What a page shows, and its HTML.
//!
//! All that a peer could have written (names, targets) is bounded by its type
//! and escaped here. Nothing that the page holds gives power: its options are
//! a challenge that one connection alone can answer.

use super::Code;
use crate::names::TargetId;
use std::net::IpAddr;
use wire::Loopback;

const PAGE: &str = include_str!("page.html");

/// What a passkey is wanted for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// To sign in.
    SignIn {
        /// What the client says it wants to reach.
        wanted: Vec<TargetId>,
    },
    /// To register a new one.
    Register {
        /// What it will be called.
        name: String,
    },
    /// To register the first one, with which an invitation is taken up.
    Enrol {
        /// What it will be called.
        name: String,
    },
    /// To confirm that a further machine is enrolled.
    FurtherMachine,
}

/// All that one page needs.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What for.
    pub purpose: Purpose,
    /// Who, by the certificate that the client showed or the invitation that
    /// it proved.
    pub person: String,
    /// The page's own name.
    pub gateway: String,
    /// Where the client is.
    pub source: IpAddr,
    /// The code that the client shows too.
    pub code: Code,
    /// The options for the browser's authenticator, JSON.
    pub options: String,
    /// Where the answer goes.
    pub loopback: Loopback,
}

impl Shown {
    /// The client's listener, the only place that the page may send to.
    pub fn form_action(&self) -> String {
        format!("http://127.0.0.1:{}", self.loopback.port)
    }

    /// The page for whoever visits it from that address.
    pub fn html(&self, visitor: IpAddr) -> String {
        let (mode, title, button, aim, aim_text) = match &self.purpose {
            Purpose::SignIn { wanted } if wanted.is_empty() => {
                let text = "nothing yet: it lists what is open to you".to_owned();
                ("sign-in", "Confirm your sign-in", "The codes match: use my passkey", "Wants to reach", text)
            }
            Purpose::SignIn { wanted } => {
                let text = wanted.iter().map(TargetId::as_str).collect::<Vec<_>>().join(", ");
                ("sign-in", "Confirm your sign-in", "The codes match: use my passkey", "Wants to reach", text)
            }
            Purpose::Register { name } => (
                "register",
                "Register a passkey",
                "The codes match: register a passkey",
                "New passkey",
                name.clone(),
            ),
            Purpose::Enrol { name } => (
                "register",
                "Enrol with a passkey",
                "The codes match: register a passkey",
                "Enrolment",
                format!(
                    "a machine at the address below will act for this person, with the new passkey {name}"
                ),
            ),
            Purpose::FurtherMachine => (
                "sign-in",
                "Confirm a further machine",
                "The codes match: use my passkey",
                "Enrolment",
                "one more machine, at the address below, will act for this person".to_owned(),
            ),
        };
        let elsewhere = if visitor == self.source {
            String::new()
        } else {
            format!(
                "<p class=\"warning\" id=\"elsewhere\">This browser reaches the gateway from {visitor}, your \
                 client from {}. Go on only if you know why.</p>",
                self.source
            )
        };
        fill(
            PAGE,
            &[
                ("mode", mode),
                ("title", title),
                ("button", button),
                ("aim", aim),
                ("aim_text", &aim_text),
                ("code", self.code.as_str()),
                ("gateway", &self.gateway),
                ("person", &self.person),
                ("source", &self.source.to_string()),
                ("options", &self.options),
                ("action", &format!("{}/{}", self.form_action(), hex::encode(self.loopback.nonce))),
            ],
        )
        .replace("<!--elsewhere-->", &elsewhere)
    }
}

/// Puts escaped texts in their `{{places}}`, in one pass: what is put in is
/// never looked at again.
fn fill(template: &str, texts: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len().saturating_mul(2));
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((place, behind)) = after.split_once("}}") else { break };
        page.push_str(before);
        if let Some((_, text)) = texts.iter().find(|(name, _)| *name == place) {
            escape(text, &mut page);
        }
        rest = behind;
    }
    page.push_str(rest);
    page
}

fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn shown() -> Shown {
        Shown {
            purpose: Purpose::SignIn { wanted: vec![TargetId::parse("press-line/plc7").unwrap()] },
            person: "tech-1@vendor-a".to_owned(),
            gateway: "gw.plant.example".to_owned(),
            source: [192, 0, 2, 7].into(),
            code: Code::draw().unwrap(),
            options: "{\"challenge\":\"AA\"}".to_owned(),
            loopback: Loopback { port: 40123, nonce: [0xab; 16] },
        }
    }

    #[test]
    fn the_page_says_who_what_and_from_where_and_where_the_answer_goes() {
        let shown = shown();
        let html = shown.html([192, 0, 2, 7].into());
        for part in [
            "tech-1@vendor-a",
            "press-line/plc7",
            "gw.plant.example",
            "192.0.2.7",
            shown.code.as_str(),
            "action=\"http://127.0.0.1:40123/abababababababababababababababab\"",
            "data-options=\"{&quot;challenge&quot;:&quot;AA&quot;}\"",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
        assert!(!html.contains("{{") && !html.contains("elsewhere"), "{html}");
        assert!(
            shown.html([198, 51, 100, 9].into()).contains("from 198.51.100.9, your client from 192.0.2.7")
        );
    }

    #[test]
    fn what_others_wrote_is_text_and_never_markup() {
        let hostile = "\"><script>alert(1)</script>{{options}}<!--elsewhere-->'&";
        let mut shown = shown();
        shown.person = hostile.to_owned();
        let name = hostile.to_owned();
        for purpose in [Purpose::Register { name: name.clone() }, Purpose::Enrol { name }] {
            shown.purpose = purpose;
            let html = shown.html([198, 51, 100, 9].into());
            assert_eq!(html.matches("<script").count(), 1, "the page's own alone: {html}");
            assert_eq!(html.matches("challenge").count(), 1, "nothing is put in twice: {html}");
            let harmless = "&lt;script&gt;alert(1)&lt;/script&gt;{{options}}&lt;!--elsewhere--&gt;&#39;&amp;";
            assert_eq!(html.matches(harmless).count(), 2, "{html}");
        }
    }

    #[test]
    fn an_enrolments_page_says_that_it_is_one_and_what_it_gives() {
        let mut shown = shown();
        shown.purpose = Purpose::Enrol { name: "laptop".to_owned() };
        let first = shown.html([198, 51, 100, 9].into());
        assert!(
            first.contains("data-mode=\"register\"") && first.contains("Enrol with a passkey"),
            "{first}"
        );
        assert!(first.contains("will act for this person, with the new passkey laptop"), "{first}");
        shown.purpose = Purpose::FurtherMachine;
        let further = shown.html([192, 0, 2, 7].into());
        assert!(
            further.contains("data-mode=\"sign-in\"") && further.contains("one more machine"),
            "{further}"
        );
        for (page, elsewhere) in [(&first, true), (&further, false)] {
            assert!(page.contains("tech-1@vendor-a") && page.contains("192.0.2.7"), "{page}");
            assert_eq!(
                page.contains("This browser reaches the gateway from 198.51.100.9"),
                elsewhere,
                "{page}"
            );
        }
    }
}
