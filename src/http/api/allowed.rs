//! Who may call a handler, said in its signature: `Allowed<UsersWrite>` as the first argument refuses before the body
//! is read.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::ApiError;
use super::admission::Handed;
use crate::app::callers::Credential;
use crate::limits::Decision;
use crate::model::AppError;
use crate::model::caller::Caller;
use crate::model::scope::Scope;

/// Whom admission let in, and the limits as this request left them.
pub struct Admitted {
    pub caller: Caller,
    pub credential: Arc<Credential>,
    pub left: Decision,
}

/// A caller whose credential has the scope of `S`.
pub struct Allowed<S> {
    // Behind a pointer, since it goes through several hands.
    admitted: Rc<Admitted>,
    scope: PhantomData<S>,
}

impl<S> Deref for Allowed<S> {
    type Target = Admitted;

    fn deref(&self) -> &Admitted {
        &self.admitted
    }
}

/// What a handler needs.
pub trait Needs {
    /// None: a valid credential is enough.
    const SCOPE: Option<Scope>;

    /// What is said to whom lacks it.
    fn refusal(scope: Scope) -> AppError {
        AppError::MissingScope(scope)
    }
}

/// The same as `S`, for paths that know keys with full access and restricted ones alone.
pub struct FullAccess<S>(PhantomData<S>);

impl<S: Needs> Needs for FullAccess<S> {
    const SCOPE: Option<Scope> = S::SCOPE;

    fn refusal(_: Scope) -> AppError {
        AppError::RestrictedApiKey
    }
}

macro_rules! needs {
    ($($name:ident $scope:expr;)*) => {$(
        pub struct $name;
        impl Needs for $name {
            const SCOPE: Option<Scope> = $scope;
        }
    )*};
}
needs! {
    AnyScope None;
    UsersRead Some(Scope::UsersRead);
    UsersWrite Some(Scope::UsersWrite);
    KeysRead Some(Scope::KeysRead);
    KeysWrite Some(Scope::KeysWrite);
    KeysVerify Some(Scope::KeysVerify);
    WebhooksRead Some(Scope::WebhooksRead);
    WebhooksWrite Some(Scope::WebhooksWrite);
}

impl<S: Needs> FromRequest for Allowed<S> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let admitted = req.extensions_mut().get_mut::<Handed>().and_then(|handed| handed.admitted.take());
        ready(allow(admitted).map_err(ApiError))
    }
}

fn allow<S: Needs>(admitted: Option<Rc<Admitted>>) -> Result<Allowed<S>, AppError> {
    let admitted = admitted.ok_or(AppError::MissingApiKey)?;
    if let Some(scope) = S::SCOPE {
        admitted.caller.must_have(scope).map_err(|_| S::refusal(scope))?;
    }
    Ok(Allowed { admitted, scope: PhantomData })
}

/// Anyone, with or without a credential: only for what `access.rs` lists as open.
pub struct Anyone;

impl FromRequest for Anyone {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self))
    }
}
