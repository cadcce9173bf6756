//! What is said of the API for what users allowed to OAuth clients.

use serde_json::json;

use super::schemas::id;
use super::{Answer, Group, Reference, listing, query};

pub(super) fn all() -> Vec<Reference> {
    let example = json!({
        "id": "grant_01h455vb4pex5vsknk084sn02q",
        "client_id": "client_01h455vb4pex5vsknk084sn02q",
        "client_name": "Reporting Tool",
        "user_id": "user_01h455vb4pex5vsknk084sn02q",
        "account_id": "acct_01h455vb4pex5vsknk084sn02q",
        "scopes": ["users:read"],
        "created_at": "2026-11-22T10:00:00Z",
        "updated_at": "2026-11-22T10:00:00Z",
        "last_used_at": null,
    });
    let mut filters = listing();
    filters.extend([query("user_id", id("user"), "Of this user."), query("client_id", id("client"), "Of this client.")]);
    vec![
        Reference::of("list_grants", Group::Grants, Answer::List("Grant", example)).params(filters),
        Reference::of("revoke_grant", Group::Grants, Answer::Deleted { object: "grant", id_prefix: "grant" })
            .more("The tokens stop with the answer. The client has to ask the user anew."),
    ]
}
