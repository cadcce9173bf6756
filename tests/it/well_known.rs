//! The operator's own files under `/.well-known`.

use crate::support::TestServer;

#[tokio::test]
async fn a_file_beside_the_database_is_served_and_nothing_around_it() {
    let server = TestServer::start().await;
    let well_known = server.dir.path().join("data/well-known");
    std::fs::create_dir_all(well_known.join("acme-challenge")).expect("a directory");
    std::fs::write(well_known.join("security.txt"), "Contact: mailto:security@example.com\n").expect("a file");
    std::fs::write(well_known.join("acme-challenge/token"), "token.thumbprint").expect("a file");
    std::fs::write(well_known.join(".hidden"), "no").expect("a file");

    let anyone = server.anonymous();
    let served = anyone.get("/.well-known/security.txt").await.expect(200);
    assert_eq!(served.text, "Contact: mailto:security@example.com\n");
    assert!(served.header("content-security-policy").contains("sandbox"));
    assert_eq!(anyone.get("/.well-known/acme-challenge/token").await.expect(200).text, "token.thumbprint");

    for beyond in ["", "acme-challenge/", ".hidden", "nothing", "..%2fkeyrack.db", "%2e%2e/keyrack.db", "../keyrack.lock"] {
        let refused = anyone.get(&format!("/.well-known/{beyond}")).await;
        assert!(matches!(refused.status, 400 | 404), "{beyond}: {}", refused.status);
    }
}
