-- The ways in which the audit log is searched, each in its order.
CREATE INDEX audit_events_actor ON audit_events (actor_id, seq);
CREATE INDEX audit_events_action ON audit_events (action, seq);
CREATE INDEX audit_events_account ON audit_events (account_id, seq) WHERE account_id IS NOT NULL;
CREATE INDEX audit_events_request ON audit_events (request_id, seq) WHERE request_id <> '';
CREATE INDEX audit_events_at ON audit_events (at, seq);

-- INSERT OR REPLACE deletes without asking the trigger on DELETE.
CREATE TRIGGER audit_events_keep_order BEFORE INSERT ON audit_events
WHEN new.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit_events) OR EXISTS (SELECT 1 FROM audit_events WHERE id = new.id)
BEGIN
    SELECT RAISE(ABORT, 'audit events are only added at the end');
END;
