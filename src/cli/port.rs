//! Opening the port, and who has it when we cannot.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener};

use super::data::Place;
use super::failure::Failure;

/// Connections that may wait to be accepted: more than the standard library's 128, which a burst fills.
const BACKLOG: i32 = 4_096;

/// Listens, or says why not and what to do.
pub fn listen(addr: SocketAddr, place: &Place) -> anyhow::Result<TcpListener> {
    let bound = bind(addr).and_then(|listener| {
        rustix::net::listen(&listener, BACKLOG)?;
        Ok(listener)
    });
    bound.map_err(|err| match err.kind() {
        ErrorKind::AddrInUse => Failure::failed(in_use(addr, place)),
        ErrorKind::PermissionDenied => Failure::failed(format!(
            "Port {} needs permission.\nRun: sudo setcap cap_net_bind_service=+ep {}   (repeat after upgrade), or use keyrack install",
            addr.port(),
            std::env::current_exe().map_or("./keyrack".into(), |path| path.display().to_string()),
        )),
        ErrorKind::AddrNotAvailable => Failure::failed(format!(
            "Cannot listen on {addr}: this machine has no such address.\nTry: {}",
            place.command(["serve", "--listen", &format!("127.0.0.1:{}", addr.port())])
        )),
        _ => Failure::failed(format!("Cannot listen on {addr}: {err}.")),
    })
}

/// `[::]` is every address of this machine; where there is no IPv6, those of IPv4.
fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(addr).or_else(|err| match (err.raw_os_error(), addr.ip()) {
        (Some(code), IpAddr::V6(ip)) if ip.is_unspecified() && code == rustix::io::Errno::AFNOSUPPORT.raw_os_error() => {
            TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, addr.port()))
        }
        _ => Err(err),
    })
}

fn in_use(addr: SocketAddr, place: &Place) -> String {
    let next = (1..100).filter_map(|step| addr.port().checked_add(step)).map(|port| SocketAddr::new(addr.ip(), port));
    let free = next.into_iter().find(|addr| TcpListener::bind(addr).is_ok());
    let try_other =
        free.map_or(String::new(), |free| format!("Try: {}   ", place.command(["serve", "--listen", &free.to_string()])));
    match Holder::of(addr) {
        Some(Holder { name, pid, unit }) => {
            let stop = unit.map_or_else(|| format!("kill {pid}"), |unit| format!("sudo systemctl stop {unit}"));
            format!("Cannot listen on {addr}: already in use by {name} (pid {pid}).\n{try_other}or stop it: {stop}")
        }
        None => format!("Cannot listen on {addr}: already in use by another program.\n{try_other}See who: sudo ss -ltnp"),
    }
}

/// The process that listens on an address.
struct Holder {
    name: String,
    pid: u32,
    /// Its systemd service, if it is one.
    unit: Option<String>,
}

impl Holder {
    fn of(addr: SocketAddr) -> Option<Self> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
        let lines = tables.iter().flat_map(|table| table.lines());
        let sockets: Vec<String> =
            lines.filter_map(|line| listening_inode(line, addr)).map(|inode| format!("socket:[{inode}]")).collect();
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let pid = pids.find(|pid| {
            let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
            let mut targets = open.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
            targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
        })?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned();
        let unit = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok().and_then(|groups| service_of(&groups));
        Some(Self { name, pid, unit })
    }
}

/// The inode of a line of `/proc/net/tcp` that listens where `addr` wants to (proc(5)).
fn listening_inode(line: &str, addr: SocketAddr) -> Option<&str> {
    const LISTEN: &str = "0A";
    let mut columns = line.split_ascii_whitespace().skip(1);
    let (local, _, state) = (columns.next()?, columns.next()?, columns.next()?);
    let (ip, port) = local.split_once(':')?;
    let same_port = u16::from_str_radix(port, 16).ok()? == addr.port();
    let ip = parse_ip(ip)?.to_canonical();
    let overlaps = ip == addr.ip().to_canonical() || ip.is_unspecified() || addr.ip().is_unspecified();
    if state != LISTEN || !same_port || !overlaps {
        return None;
    }
    columns.nth(5)
}

/// Words of 32 bits, each in the machine's byte order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let words = hex.as_bytes().chunks(8).map(|word| {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    <[u8; 4]>::try_from(bytes.as_slice())
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from))
        .ok()
}

fn service_of(cgroups: &str) -> Option<String> {
    let unit = cgroups.lines().find_map(|line| line.split("/system.slice/").nth(1))?;
    unit.split('/').next()?.strip_suffix(".service").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn lines_of_proc_are_read() {
        let addr = |text: &str| text.parse().expect("an address");
        let v4 =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0 100 0 0 10 0";
        assert_eq!(listening_inode(v4, addr("127.0.0.1:8080")), Some("12345"));
        assert_eq!(listening_inode(v4, addr("0.0.0.0:8080")), Some("12345"));
        assert_eq!(listening_inode(v4, addr("127.0.0.1:8081")), None);
        assert_eq!(listening_inode(v4, addr("127.0.0.2:8080")), None);
        let any = "   1: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 77 1";
        assert_eq!(listening_inode(any, addr("127.0.0.1:8080")), Some("77"));
        assert_eq!(listening_inode("  sl  local_address rem_address   st", addr("127.0.0.1:8080")), None);
    }

    #[test]
    fn a_service_is_told_by_its_control_group() {
        assert_eq!(service_of("0::/system.slice/caddy.service\n"), Some("caddy".into()));
        assert_eq!(service_of("0::/user.slice/user-1000.slice/session-3.scope\n"), None);
    }
}
