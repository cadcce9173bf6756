//! Ordering a certificate from an ACME server (RFC 8555). What must outlive a restart is in `Account` and `Order`: the
//! caller keeps it after every step, so that an order goes on where it stood instead of counting against a limit anew.

use std::path::Path;
use std::time::Duration;

use instant_acme::{
    AccountCredentials, AuthorizationStatus, Authorizations, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Certificates;

/// How long the server may take to look at the proofs, and to sign.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));

/// Whom to ask, and for what.
pub struct Wish<'a> {
    pub directory: &'a str,
    /// Whom to trust besides, for a server of one's own.
    pub ca_file: Option<&'a Path>,
    pub email: Option<&'a str>,
    pub domains: &'a [String],
    pub proof: Proof,
}

/// How it is shown that the domains are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A file at a path, over plain HTTP on port 80.
    Http,
    /// A certificate in a handshake on port 443 (RFC 8737).
    Tls,
}

/// What has been agreed with the server so far.
#[derive(Default, Serialize, Deserialize)]
pub struct Progress {
    account: Option<AccountCredentials>,
    order: Option<Order>,
}

#[derive(Serialize, Deserialize)]
struct Order {
    url: String,
    domains: Vec<String>,
    /// Of the certificate that was ordered.
    key: String,
}

#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The server looked, and did not find the proof.
    #[error("{0}")]
    NotProven(String),
    #[error(transparent)]
    Acme(#[from] instant_acme::Error),
    #[error(transparent)]
    Key(#[from] rcgen::Error),
    #[error(transparent)]
    Proof(#[from] rustls::Error),
    #[error(transparent)]
    Kept(#[from] super::CertificateError),
}

impl AcmeError {
    /// The server has forgotten us, as one does that was set up anew.
    pub fn is_unknown_account(&self) -> bool {
        let Self::Acme(instant_acme::Error::Api(problem)) = self else { return false };
        problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":accountDoesNotExist"))
    }
}

/// Goes all the way; gives key and certificate as one text of PEM.
pub async fn order(
    wish: &Wish<'_>,
    progress: &mut Progress,
    shown: &Certificates,
    keep: impl Fn(&Progress) -> Result<(), super::CertificateError>,
) -> Result<Zeroizing<String>, AcmeError> {
    let account = account(wish, progress).await?;
    keep(progress)?;
    let mut order = begun(wish, progress, &account).await?;
    keep(progress)?;
    prove(wish, &mut order.authorizations(), shown).await?;
    let ready = order.poll_ready(&PATIENCE).await;
    if !matches!(ready, Ok(OrderStatus::Ready | OrderStatus::Valid)) {
        // The next try begins with a new order.
        progress.order = None;
        keep(progress)?;
        if let Some(reason) = refusal(&mut order.authorizations()).await {
            return Err(AcmeError::NotProven(reason));
        }
        ready?;
        return Err(AcmeError::NotProven("no reason was given".into()));
    }
    let begun = progress.order.as_ref().expect("an order was begun above");
    let key = KeyPair::from_pem(&begun.key)?;
    if order.state().status == OrderStatus::Ready {
        let mut params = CertificateParams::new(wish.domains)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        order.finalize_csr(params.serialize_request(&key)?.der()).await?;
    }
    let chain = order.poll_certificate(&PATIENCE).await?;
    let pem = Zeroizing::new(format!("{}{chain}", begun.key));
    progress.order = None;
    Ok(pem)
}

/// The account that we have there, or a new one.
async fn account(wish: &Wish<'_>, progress: &mut Progress) -> Result<instant_acme::Account, AcmeError> {
    let builder = match wish.ca_file {
        Some(file) => instant_acme::Account::builder_with_root(file)?,
        None => instant_acme::Account::builder()?,
    };
    if let Some(known) = &progress.account {
        let copy = serde_json::from_value(serde_json::to_value(known).map_err(instant_acme::Error::from)?);
        return Ok(builder.from_credentials(copy.map_err(instant_acme::Error::from)?).await?);
    }
    let contact = wish.email.map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.as_deref().into_iter().collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&new, wish.directory.to_owned(), None).await?;
    progress.account = Some(credentials);
    Ok(account)
}

/// The order that was begun, as long as it can still end well; else a new one.
async fn begun(
    wish: &Wish<'_>,
    progress: &mut Progress,
    account: &instant_acme::Account,
) -> Result<instant_acme::Order, AcmeError> {
    if let Some(begun) = progress.order.as_ref().filter(|begun| begun.domains == wish.domains)
        && let Ok(mut order) = account.order(begun.url.clone()).await
        && order.state().status != OrderStatus::Invalid
    {
        return Ok(order);
    }
    let names: Vec<Identifier> = wish.domains.iter().cloned().map(Identifier::Dns).collect();
    let order = account.new_order(&NewOrder::new(&names)).await?;
    let key = KeyPair::generate()?.serialize_pem();
    progress.order = Some(Order { url: order.url().to_owned(), domains: wish.domains.to_vec(), key });
    Ok(order)
}

/// Shows what the server asked for, and tells it to look.
async fn prove(wish: &Wish<'_>, asked: &mut Authorizations<'_>, shown: &Certificates) -> Result<(), AcmeError> {
    while let Some(asked) = asked.next().await {
        let mut asked = asked?;
        if asked.status != AuthorizationStatus::Pending {
            continue;
        }
        let kind = match wish.proof {
            Proof::Http => ChallengeType::Http01,
            Proof::Tls => ChallengeType::TlsAlpn01,
        };
        let mut challenge = asked.challenge(kind).ok_or(instant_acme::Error::Unsupported("this kind of proof"))?;
        let domain = challenge.identifier().to_string();
        let proof = challenge.key_authorization();
        match wish.proof {
            Proof::Http => shown.prove_by_http(challenge.token.clone(), proof.as_str().to_owned()),
            Proof::Tls => {
                let mut params = CertificateParams::new([domain.clone()])?;
                params.custom_extensions = vec![CustomExtension::new_acme_identifier(proof.digest().as_ref())];
                let key = KeyPair::generate()?;
                shown.prove_by_tls(domain, params.self_signed(&key)?.der().clone(), key)?;
            }
        }
        challenge.set_ready().await?;
    }
    Ok(())
}

/// What the server says of the proofs that it did not find.
async fn refusal(asked: &mut Authorizations<'_>) -> Option<String> {
    let mut words = Vec::new();
    while let Some(Ok(mut asked)) = asked.next().await {
        // What was read before the server looked says nothing of what it found.
        let _ = asked.refresh().await;
        let failed = asked.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        words.extend(failed.filter_map(|problem| problem.detail.clone()));
    }
    (!words.is_empty()).then(|| words.join("; "))
}
