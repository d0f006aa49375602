//! PostgreSQL doing a row for each transaction and an update of the balance, in batches: what people would otherwise run.

use crate::input::Input;
use crate::stopwatch::Stopwatch;
use accrue_ledger::Body;
use anyhow::{Context, Result, bail};
use postgres::{Client, NoTls};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A server of its own, on a socket in a directory of its own; gone when dropped.
pub struct Server {
    bin: PathBuf,
    dir: PathBuf,
}

/// What it did.
pub struct Done {
    /// On the wall.
    pub wall: Duration,
    /// Transactions written.
    pub facts: usize,
    /// Its version.
    pub version: String,
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// `initdb` and the server refuse to be root: then they are the user `postgres`, which the package made.
fn as_server(bin: &Path, program: &str) -> Command {
    let program = bin.join(program);
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

impl Server {
    /// Starts one with durable commits and room in memory. `None`: there is no PostgreSQL on this machine.
    pub fn start(parent: &Path) -> Result<Option<Server>> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").map(|dir| dir.flatten().map(|entry| entry.path().join("bin")));
        let Some(bin) = versions.ok().and_then(|mut bins| bins.find(|bin| bin.join("initdb").exists())) else {
            return Ok(None);
        };
        let dir = parent.join("postgres");
        std::fs::create_dir_all(&dir)?;
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(&dir))?;
            run(Command::new("chmod").arg("755").arg(parent))?;
        }
        let data = dir.join("data");
        run(as_server(&bin, "initdb").arg("-D").arg(&data).args([
            "--auth=trust",
            "--no-locale",
            "--encoding=UTF8",
            "-U",
            "postgres",
        ]))?;
        let settings = format!(
            "-c listen_addresses= -c unix_socket_directories={} -c shared_buffers=1GB -c max_wal_size=8GB -c synchronous_commit=on",
            dir.display()
        );
        run(as_server(&bin, "pg_ctl")
            .arg("-D")
            .arg(&data)
            .arg("-o")
            .arg(settings)
            .args(["-w", "-l"])
            .arg(dir.join("log"))
            .arg("start"))?;
        Ok(Some(Server { bin, dir }))
    }

    /// The first `facts` of the input, `batch` a transaction: rows by one `insert … select unnest`, balances by one `update`.
    pub fn book(&self, input: &Input, facts: usize, batch: usize) -> Result<Done> {
        let mut client = Client::connect(&format!("host={} user=postgres", self.dir.display()), NoTls)?;
        let version: String = client.query_one("show server_version", &[])?.get(0);
        client.batch_execute(
            "create table transaction (id text primary key, member text not null, at bigint not null, points bigint not null);
             create table balance (member text primary key, points bigint not null);",
        )?;
        let insert = client.prepare(
            "insert into transaction select * from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) on conflict do nothing",
        )?;
        let update = client.prepare(
            "insert into balance select m, sum(p) from unnest($1::text[], $2::bigint[]) as u(m, p) group by m order by m
             on conflict (member) do update set points = balance.points + excluded.points",
        )?;
        let rows: Vec<(String, String, i64, i64)> =
            input.facts().take(facts).map(|fact| fact.map(|fact| row(&fact))).collect::<Result<_>>()?;
        let watch = Stopwatch::start();
        for rows in rows.chunks(batch) {
            let ids: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
            let members: Vec<&str> = rows.iter().map(|row| row.1.as_str()).collect();
            let times: Vec<i64> = rows.iter().map(|row| row.2).collect();
            let points: Vec<i64> = rows.iter().map(|row| row.3).collect();
            let mut transaction = client.transaction()?;
            transaction.execute(&insert, &[&ids, &members, &times, &points])?;
            transaction.execute(&update, &[&members, &points])?;
            transaction.commit()?;
        }
        Ok(Done { wall: watch.lap().wall, facts: rows.len(), version })
    }
}

fn row(fact: &accrue_ledger::Fact<'_>) -> (String, String, i64, i64) {
    let points = match &fact.body {
        Body::OrderPlaced(order) => order.lines.iter().map(|line| line.net()).sum::<i64>() / 100,
        Body::RefundRecorded(refund) => -refund.amount.unwrap_or(0) / 100,
        Body::Redemption(_) => -200,
        _ => 10,
    };
    (fact.id.to_string(), fact.member.to_string(), fact.occurred_at.0, points)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = run(as_server(&self.bin, "pg_ctl").arg("-D").arg(self.dir.join("data")).args(["-m", "immediate", "stop"]));
    }
}
