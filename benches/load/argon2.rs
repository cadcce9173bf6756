//! What argon2id alone allows: hashes a second on one thread, with the parameters of the server's passwords (19 MiB, two passes, one
//! lane) and memory that is used again. `argon2 [SECONDS]`, printed as JSON.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};

fn main() -> anyhow::Result<()> {
    let time = Duration::from_secs(std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3));
    let params = Params::new(19 * 1024, 2, 1, None).map_err(|err| anyhow::anyhow!("{err}"))?;
    let mut memory = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (began, mut count, mut out) = (Instant::now(), 0u32, [0; 32]);
    while began.elapsed() < time {
        let hashed =
            argon2.hash_password_into_with_memory(b"a well kept cabinet of keys", b"sixteen bytes of", &mut out, &mut memory[..]);
        hashed.map_err(|err| anyhow::anyhow!("{err}"))?;
        count += 1;
    }
    println!(r#"{{"rate": {:.2}}}"#, f64::from(count) / began.elapsed().as_secs_f64());
    Ok(())
}
