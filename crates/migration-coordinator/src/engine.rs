//! Which engine answers at an address: PostgreSQL, of a version that is supported, or another one that speaks its protocol.
//!
//! It decides by what the server says of itself and asks nothing. Everything here rests on advisory locks, on schema changes
//! that roll back with their transaction, and on PostgreSQL's own catalogs; an engine that lacks one of them would often take
//! the first statements and then leave a half.

/// What migrations cannot run on.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It is not PostgreSQL.
    Other {
        /// What it is.
        engine: String,
        /// What is missing there.
        reason: &'static str,
    },
    /// It is an older version.
    TooOld {
        /// The version, as the server writes it.
        version: String,
    },
}

/// Oldest major version that is supported.
const OLDEST: u32 = 15;

/// What an engine that nobody looked at would have to show first.
const UNKNOWN: &str = "it is not known to keep PostgreSQL's promises about locks and transactions";

/// How much is shown of what an unknown engine says of itself.
const SHOWN: usize = 80;

/// Engines that speak PostgreSQL's protocol: what their `version()` contains, in lower case, their name, and why migrations
/// cannot run there.
#[rustfmt::skip]
const OTHERS: &[(&str, &str, &str)] = &[
    ("cockroachdb", "CockroachDB", "it has no advisory locks, and not every schema change there rolls back with its transaction"),
    // `PostgreSQL 15.12-YB-2.25.2.0-b0 on x86_64-pc-linux-gnu, compiled by …`
    ("-yb-", "YugabyteDB", "a schema change there is not part of its transaction unless the server is set so"),
    ("dsql", AURORA_DSQL.0, AURORA_DSQL.1),
    ("redshift", "Amazon Redshift", "it has neither advisory locks nor indexes"),
    ("materialize", "Materialize", "a transaction there cannot both read and write"),
    ("risingwave", "RisingWave", "a transaction there can only read"),
    ("cratedb", "CrateDB", "it has no transactions"),
    ("questdb", "QuestDB", "a schema change there is not part of a transaction"),
    ("greenplum", "Greenplum", "it cannot build an index without stopping writes"),
    ("cloudberry", "Apache Cloudberry", "it cannot build an index without stopping writes"),
    ("opengauss", "openGauss", UNKNOWN),
    ("gaussdb", "GaussDB", UNKNOWN),
    ("cedardb", "CedarDB", UNKNOWN),
];

/// It calls itself `PostgreSQL 16` and is found by its address.
const AURORA_DSQL: (&str, &str) = (
    "Amazon Aurora DSQL",
    "it has no advisory locks, and a transaction there may hold one schema change only",
);

/// Whether migrations can run on what calls itself so at this host, in the words of `version()`.
pub(crate) fn judge(host: &str, version: &str) -> Result<(), Unfit> {
    let other = |engine: String, reason| Err(Unfit::Other { engine, reason });
    let said = version.to_lowercase();
    if let Some((_, name, reason)) = OTHERS.iter().find(|(mark, ..)| said.contains(mark)) {
        return other((*name).to_owned(), reason);
    }
    if host.contains(".dsql.") {
        return other(AURORA_DSQL.0.to_owned(), AURORA_DSQL.1);
    }
    // PostgreSQL and what is built from its source say what they were compiled by; imitations give a number alone.
    let number = version.strip_prefix("PostgreSQL ").filter(|rest| rest.contains("compiled by "));
    let Some(number) = number else {
        let shown: String = version.chars().take(SHOWN).collect();
        return other(format!("an engine that calls itself `{shown}`"), UNKNOWN);
    };
    let number = number.split([' ', ',']).next().unwrap_or_default();
    let major: String = number.chars().take_while(char::is_ascii_digit).collect();
    match major.parse::<u32>() {
        Ok(major) if major >= OLDEST => Ok(()),
        _ => Err(Unfit::TooOld { version: number.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Unfit, judge};

    #[test]
    #[rustfmt::skip]
    fn each_engine_is_told_by_what_it_says_of_itself() {
        let here = "db.example.org";
        let cases = [
            // PostgreSQL, as it is built for Debian, Alpine and Windows, and by those who sell it.
            (here, "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0-14+deb12u1) 12.2.0, 64-bit", ""),
            (here, "PostgreSQL 18beta1 on x86_64-pc-linux-musl, compiled by gcc (Alpine 15.2.0) 15.2.0, 64-bit", ""),
            (here, "PostgreSQL 16.3, compiled by Visual C++ build 1938, 64-bit", ""),
            (here, "PostgreSQL 17.4 (EnterpriseDB Advanced Server 17.4.0) on x86_64-pc-linux-gnu, compiled by gcc (GCC) 11.5.0 20240719 (Red Hat 11.5.0-5), 64-bit", ""),
            ("x.cluster-y.eu-west-1.rds.amazonaws.com", "PostgreSQL 15.4 on aarch64-unknown-linux-gnu, compiled by aarch64-unknown-linux-gnu-gcc (GCC) 9.5.0, 64-bit", ""),
            (here, "PostgreSQL 14.23 on x86_64-pc-linux-gnu, compiled by gcc (GCC) 8.5.0, 64-bit", "older: 14.23"),
            (here, "PostgreSQL 9.6.24 on x86_64-pc-linux-gnu, compiled by gcc 4.8.5, 64-bit", "older: 9.6.24"),
            // Others, as they publish it.
            (here, "CockroachDB CCL v21.1.0 (x86_64-unknown-linux-gnu, built 2021/04/23 13:54:57, go1.13.14)", "CockroachDB"),
            (here, "PostgreSQL 15.12-YB-2.25.2.0-b0 on x86_64-pc-linux-gnu, compiled by clang version 19.1.0 (https://github.com/yugabyte/llvm-project.git a2a6b655e14e7fa1fcf1011a6cb29cb8575249c0), 64-bit", "YugabyteDB"),
            ("4iabtwnq2j55iez4j4bkykghgm.dsql.us-east-1.on.aws", "PostgreSQL 16", "Amazon Aurora DSQL"),
            (here, "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.77467", "Amazon Redshift"),
            (here, "PostgreSQL 9.5.0 on x86_64-unknown-linux-gnu (Materialize v0.130.0)", "Materialize"),
            (here, "PostgreSQL 13.14.0-RisingWave-2.3.2 (58c5893670f326f0922b9bc58c61c83cabeccaa8)", "RisingWave"),
            (here, "CrateDB 5.2.3 (built e2d9b20/2023-02-23T10:11:12Z, Linux 5.15.0 amd64)", "CrateDB"),
            (here, "PostgreSQL 12.3, compiled by Visual C++ build 1914, 64-bit, QuestDB", "QuestDB"),
            (here, "PostgreSQL 9.4.26 (Greenplum Database 6.22.2) on x86_64-pc-linux-gnu, compiled by gcc-6 6.5.0, 64-bit compiled on Oct 30 2023", "Greenplum"),
            (here, "PostgreSQL 9.2.4 (openGauss 2.0.0 build 78689da9) compiled at 2021-03-31 21:04:03 commit 0 last mr   on x86_64-unknown-linux-gnu, compiled by g++ (GCC) 7.3.0, 64-bit", "openGauss"),
            (here, "PostgreSQL 16.3 compatible CedarDB v2025-08-20", "CedarDB"),
            // An imitation, one that nobody has heard of, and one that says nothing.
            (here, "PostgreSQL 17.1", "an engine that calls itself `PostgreSQL 17.1`"),
            (here, "NewSQL 1.0, compiled by rustc", "an engine that calls itself `NewSQL 1.0, compiled by rustc`"),
            (here, "", "an engine that calls itself ``"),
        ];
        for (host, version, expected) in cases {
            let judged = match judge(host, version) {
                Ok(()) => String::new(),
                Err(Unfit::Other { engine, .. }) => engine,
                Err(Unfit::TooOld { version }) => format!("older: {version}"),
            };
            assert_eq!(judged, expected, "{version}");
        }
    }
}
