//! What pods may reach of this machine and beyond it: nothing, unless a flag says so.

use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

use super::Failure;
use crate::config::Config;
use crate::modules::RegistryHost;

#[derive(Args, Debug, Default)]
pub struct AllowArgs {
    /// A directory below which hostPath volumes may lie; may be given several times
    #[arg(long, value_name = "DIR")]
    allow_host_path: Vec<PathBuf>,
    /// Addresses that pods with the annotation `kiln.dev/network: outbound` may reach, such as 10.0.0.0/8 or ::/0; may be
    /// given several times
    #[arg(long, value_name = "CIDR")]
    allow_network: Vec<IpNet>,
    /// A registry that is asked for the images which name it and are not here, such as ghcr.io; by TLS, but for one on
    /// loopback such as localhost:5000; may be given several times
    #[arg(long, value_name = "HOST[:PORT]")]
    allow_registry: Vec<RegistryHost>,
}

impl AllowArgs {
    pub fn apply(self, config: &mut Config) -> Result<(), Failure> {
        for dir in self.allow_host_path {
            // With its links resolved, so that what is compared later are real places.
            let real = dir
                .canonicalize()
                .map_err(|error| Failure::usage(format!("--allow-host-path {}: {error}", dir.display())))?;
            if !real.is_dir() {
                return Err(Failure::usage(format!("--allow-host-path {}: not a directory", dir.display())));
            }
            config.host_paths.push(real);
        }
        config.network = self.allow_network;
        config.registries = self.allow_registry.iter().map(RegistryHost::to_string).collect();
        Ok(())
    }
}
