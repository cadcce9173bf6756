//! Events as rows of a table.

use crate::model::audit_event::AuditEvent;

pub const CSV_HEAD: &str = "seq,id,created_at,actor_kind,actor_id,actor_name,action,target_kind,target_id,target_name,account_id,ip,request_id,changes,hash\r\n";

pub fn csv_row(event: &AuditEvent) -> String {
    let cells = [
        event.seq.to_string(),
        event.id.to_string(),
        event.at.to_string(),
        event.actor.kind.clone(),
        event.actor.id.clone(),
        event.actor.name.clone(),
        event.action.clone(),
        event.target.kind.clone(),
        event.target.id.clone(),
        event.target.name.clone(),
        event.account_id.map(|id| id.to_string()).unwrap_or_default(),
        event.ip.clone(),
        event.request_id.clone(),
        if event.diff.is_null() { String::new() } else { event.diff.to_string() },
        event.hash.to_string(),
    ];
    let mut row = cells.map(|cell| quoted(&cell)).join(",");
    row.push_str("\r\n");
    row
}

/// RFC 4180, and no cell that a spreadsheet would take for a formula.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        for (cell, written) in [
            ("plain", "plain"),
            ("a, b", "\"a, b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=SUM(A1)", "'=SUM(A1)"),
            ("@x,y", "\"'@x,y\""),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }
}
