//! The writer under load, faults and panics.

use super::*;

fn writer() -> (tempfile::TempDir, Writer) {
    let dir = tempfile::tempdir().expect("a directory");
    let conn = Connection::open(dir.path().join("t.db")).expect("a database");
    conn.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (i INTEGER PRIMARY KEY)").expect("sql");
    (dir, Writer::start(conn).expect("a thread"))
}

fn insert(i: i64) -> impl FnOnce(&Transaction) -> Result<()> + Send + 'static {
    move |tx| Ok(tx.execute("INSERT INTO t VALUES (?1)", [i]).map(drop)?)
}

fn rows(dir: &tempfile::TempDir) -> Vec<i64> {
    let conn = Connection::open(dir.path().join("t.db")).expect("a database");
    let mut all = conn.prepare("SELECT i FROM t ORDER BY i").expect("sql");
    let rows = all.query_map([], |row| row.get(0)).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

#[tokio::test]
async fn what_is_acknowledged_is_in_the_file() {
    let (dir, writer) = writer();
    futures_util::future::join_all((0..1000).map(|i| writer.write(insert(i), |()| ())))
        .await
        .into_iter()
        .for_each(|done| done.expect("done"));
    assert_eq!(rows(&dir), (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_change_that_fails_takes_none_of_its_neighbours_with_it() {
    let (dir, writer) = writer();
    let fails = writer.write(
        |tx| {
            tx.execute("INSERT INTO t VALUES (99)", [])?;
            Err::<(), _>(AppError::LastAdmin)
        },
        |()| (),
    );
    let panics = writer.write(
        |tx| -> Result<()> {
            tx.execute("INSERT INTO t VALUES (98)", [])?;
            panic!("in a change")
        },
        |()| (),
    );
    let (one, fails, panics, two) =
        tokio::join!(writer.write(insert(1), |()| ()), fails, panics, writer.write(insert(2), |()| ()));
    assert!(one.is_ok() && two.is_ok());
    assert!(matches!(fails, Err(AppError::LastAdmin)));
    assert!(matches!(panics, Err(AppError::Internal(_))));
    assert_eq!(rows(&dir), [1, 2]);
}

#[tokio::test]
async fn another_process_is_noticed_and_our_own_commits_are_not() {
    let (dir, writer) = writer();
    let mut foreign = writer.foreign_commits();
    writer.write(insert(1), |()| ()).await.expect("written");
    let quiet = tokio::time::timeout(LOOK_AROUND * 3, foreign.changed()).await;
    assert!(quiet.is_err(), "an own commit was taken for another's");
    Connection::open(dir.path().join("t.db")).expect("a database").execute("INSERT INTO t VALUES (2)", []).expect("sql");
    tokio::time::timeout(LOOK_AROUND * 3, foreign.changed()).await.expect("noticed in time").expect("alive");
}

#[tokio::test]
async fn dropping_the_writer_commits_what_was_asked_for() {
    let (dir, writer) = writer();
    let pending: Vec<_> = (0..100).map(|i| Box::pin(writer.write(insert(i), |()| ()))).collect();
    // Polled once, so that each is on its way.
    for mut write in pending {
        drop(futures_util::FutureExt::now_or_never(write.as_mut()));
    }
    drop(writer);
    assert_eq!(rows(&dir).len(), 100);
}

#[tokio::test]
async fn what_follows_a_change_follows_even_when_the_asker_has_gone() {
    let (_dir, writer) = writer();
    let (told, follows) = std::sync::mpsc::channel();
    let mut asked = Box::pin(writer.write(insert(1), move |()| told.send("committed").expect("somebody listens")));
    drop(futures_util::FutureExt::now_or_never(asked.as_mut()));
    drop(asked);
    assert_eq!(follows.recv_timeout(Duration::from_secs(5)), Ok("committed"));
}
