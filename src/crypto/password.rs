//! Password hashes: argon2id, off the workers, as many at once as there are cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, oneshot};

use crate::model::user::Password;
use crate::model::{AppError, Result};

/// OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// A stored hash that asks for more than this is refused: it would let whoever wrote it exhaust the memory.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const QUEUED_MAX: usize = 32;
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What an unknown user's password is checked against, so that it takes as long as a known one's.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$8lwYkXTQfTWyZSGrdTQrQA$ZQmbV8xDqKiAWCeHhZZoxSoSu1KYkWVyIjARsZRb0Qg";

/// The only door to argon2: bounded, so that a flood of sign-ins costs neither the memory nor the workers.
#[derive(Clone, Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    queued: Arc<AtomicUsize>,
    jobs: mpsc::Sender<Job>,
}

/// What a hash is computed in.
type Memory = Vec<Block>;
type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// Right, and hashed with weaker parameters than today's: hash it anew.
    RightButWeak,
    Wrong,
}

impl Passwords {
    pub fn new(cores: usize) -> Self {
        let at_once = cores.clamp(1, 4);
        Self { permits: Arc::new(Semaphore::new(at_once)), queued: Arc::default(), jobs: threads(at_once) }
    }

    /// The PHC string of a password.
    pub async fn hash(&self, password: Password) -> Result<String> {
        self.run(move |memory| {
            let (argon2, salt) = (argon2(), Salt::generate());
            let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
            compute(&argon2, &password, &salt, &mut out, memory)?;
            let hash = PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(argon2.params()).map_err(failed)?,
                salt: Some(salt),
                hash: Some(Output::new(&out).map_err(failed)?),
            };
            Ok(hash.to_string())
        })
        .await
    }

    /// Checks a password against a stored hash; with none, against a dummy that takes as long and never fits.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verdict> {
        self.run(move |memory| {
            let known = stored.is_some();
            let stored = stored.unwrap_or_else(|| DUMMY.into());
            let hash = PasswordHash::new(&stored).map_err(failed)?;
            let params = Params::try_from(&hash).map_err(failed)?;
            if params.m_cost() > MEMORY_KIB_MAX {
                return Err(AppError::internal("a stored password hash asks for more than 256 MiB"));
            }
            let weak = params.m_cost() < MEMORY_KIB || params.t_cost() < PASSES;
            let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(failed)?;
            let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from).map_err(failed)?;
            let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
                return Err(AppError::internal("a stored password hash lacks its salt or its end"));
            };
            let mut out = vec![0; expected.len()];
            compute(&Argon2::new(algorithm, version, params), &password, &salt, &mut out, memory)?;
            if !bool::from(out.ct_eq(expected.as_bytes())) || !known {
                return Ok(Verdict::Wrong);
            }
            Ok(if weak { Verdict::RightButWeak } else { Verdict::Right })
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Memory) -> Result<T> + Send + 'static) -> Result<T> {
        let busy = || AppError::Busy { retry_after: WAIT_MAX };
        let place = Place::take(&self.queued).ok_or_else(busy)?;
        let permit = tokio::time::timeout(WAIT_MAX, self.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| busy())?.map_err(AppError::internal)?;
        drop(place);
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move |memory: &mut Memory| {
            // The permit goes with the work: a client that leaves does not stop it, and must not free its place early.
            let _permit = permit;
            drop(reply.send(work(memory)));
        });
        self.jobs.send(job).map_err(|_| AppError::internal("no thread is left to hash passwords"))?;
        answer.await.map_err(AppError::internal)?
    }
}

/// Threads for hashing alone, each with memory that it uses again: 19 MiB that are asked for at every hash come back from
/// the allocator in pieces, and a flood of sign-ins would fill the machine with what lies between. They end with their
/// sender.
fn threads(count: usize) -> mpsc::Sender<Job> {
    let (jobs, queue) = mpsc::channel::<Job>();
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..count {
        let queue = queue.clone();
        let work = move || {
            give_way();
            let mut memory = Memory::new();
            loop {
                let next = queue.lock().recv();
                let Ok(job) = next else { return };
                // Whoever waits for it is told, since its reply is dropped.
                let _ = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
            }
        };
        std::thread::Builder::new().name("passwords".into()).spawn(work).expect("the operating system gives a thread");
    }
    jobs
}

/// Hashing takes what the workers leave: a flood of sign-ins must not slow the API. Where that is not allowed, it goes on as it is.
fn give_way() {
    // Elsewhere the niceness is the whole process's. Added to what the process was started with.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
}

/// A place in the queue, given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(queued: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(queued.clone());
        (queued.fetch_add(1, Relaxed) < QUEUED_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn compute(argon2: &Argon2, password: &Password, salt: &[u8], out: &mut [u8], memory: &mut Memory) -> Result<()> {
    let needed = argon2.params().block_count();
    if memory.len() < needed {
        *memory = vec![Block::new(); needed];
    }
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut memory[..needed]).map_err(failed)
}

fn failed(err: impl std::fmt::Display) -> AppError {
    AppError::internal(err.to_string())
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters above are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;

    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_alone() {
        let passwords = Passwords::new(2);
        let hash = passwords.hash(Password::typed("securepassword123")).await.expect("a hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let verify = |text: &str, hash: Option<&str>| passwords.verify(Password::typed(text), hash.map(str::to_owned));
        assert_eq!(verify("securepassword123", Some(&hash)).await.expect("a verdict"), Verdict::Right);
        assert_eq!(verify("securepassword124", Some(&hash)).await.expect("a verdict"), Verdict::Wrong);
        assert_eq!(verify("dummy", None).await.expect("a verdict"), Verdict::Wrong);
    }

    #[tokio::test]
    async fn a_weaker_hash_is_told() {
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).expect("params"));
        let hash = weak.hash_password(b"securepassword123").expect("a hash").to_string();
        let verdict = Passwords::new(1).verify(Password::typed("securepassword123"), Some(hash)).await;
        assert_eq!(verdict.expect("a verdict"), Verdict::RightButWeak);
    }

    #[tokio::test]
    async fn a_flood_is_turned_away_and_no_place_is_lost() {
        let passwords = Passwords::new(1);
        let all = (0..60).map(|_| passwords.verify(Password::typed("x"), None));
        let answers = futures_util::future::join_all(all).await;
        assert!(answers.iter().any(|answer| matches!(answer, Err(AppError::Busy { .. }))));
        assert!(answers.iter().any(Result::is_ok));
        assert_eq!(passwords.queued.load(Relaxed), 0);
    }
}
