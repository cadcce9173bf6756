//! What is said of the users API.

use serde_json::{Value, json};

use super::schemas::{email, id, name, one_of, password, said, sent, text, time};
use super::{Answer, Group, Reference, listing, query};

pub(super) fn all() -> Vec<Reference> {
    let of = |id, answer| Reference::of(id, Group::Users, answer);
    let one = || Answer::One("User", example());
    let mut filters = listing();
    filters.extend([
        query("email", email(), "The user with this address, without regard to case."),
        query("q", text(), "The start of the name or of the address, or a whole id."),
        query("created_after", time(), "Made after this moment."),
        query("created_before", time(), "Made before this moment."),
    ]);
    vec![
        of("show_own_user", one()).more("For an API key: its owner. For an access token: the user who granted it."),
        of("list_users", Answer::List("User", example())).params(filters).more(
            "The header `Link` (RFC 8288) leads to the neighbouring pages; `X-Total-Count` is there when nothing is filtered.",
        ),
        of("create_user", one())
            .status(201)
            .body(
                sent(
                    &["name", "email", "password"],
                    &[
                        ("name", name()),
                        ("email", email()),
                        ("password", password()),
                        ("account_id", said(id("acct"), "Scope `admin` only. Without it: your own account.")),
                        ("role", said(one_of(&["admin", "member"]), "Scope `admin` only. Without it: `member`.")),
                    ],
                ),
                json!({ "name": "Alice Wonderland", "email": "alice@example.com", "password": "securepassword123" }),
            )
            .more("An address belongs to one user, without regard to case."),
        of("show_user", one()),
        of("update_user", one())
            .body(changes(), json!({ "name": "Alice Liddell" }))
            .errors(&["last_admin"])
            .more("`role` and `status` need scope `admin`. A new password ends the sessions of the user."),
        of("replace_user", one()).body(changes(), json!({ "name": "Alice Liddell" })).errors(&["last_admin"]),
        of("delete_user", Answer::Deleted { object: "user", id_prefix: "user" }).errors(&["last_admin"]),
    ]
}

fn changes() -> Value {
    sent(
        &[],
        &[
            ("name", name()),
            ("email", email()),
            ("password", password()),
            ("role", one_of(&["admin", "member"])),
            ("status", one_of(&["active", "disabled"])),
        ],
    )
}

pub(super) fn example() -> Value {
    json!({
        "id": "user_01h455vb4pex5vsknk084sn02q",
        "name": "Alice Wonderland",
        "email": "alice@example.com",
        "account_id": "acct_01h455vb4pex5vsknk084sn02r",
        "role": "member",
        "status": "active",
        "created_at": "2023-10-27T10:00:00Z",
        "updated_at": "2023-10-27T10:00:00Z",
    })
}

#[test]
fn the_example_is_a_user() {
    let schema =
        super::schemas::named().into_iter().find(|(name, _)| *name == "User").map(|(_, schema)| schema).expect("a schema");
    let fields = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
    assert_eq!(fields(&schema["properties"]), fields(&example()));
}
