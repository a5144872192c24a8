//! x
#[derive(clap::Args, Debug)]
pub struct ServeArgs {}
pub fn run(_args: ServeArgs) -> Result<u8, super::Failure> {
    Ok(0)
}
