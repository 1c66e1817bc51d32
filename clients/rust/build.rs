//! Generates the stubs from `proto/`, and the descriptors from which the channel learns what each method is.

use std::{env, error::Error, ffi::OsStr, fs, path::PathBuf};

use protox::prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut files = vec![PathBuf::from("proto/grpc/health/v1/health.proto")];
    for entry in fs::read_dir("proto/tradebook/v1")? {
        files.push(entry?.path());
    }
    files.retain(|path| path.extension() == Some(OsStr::new("proto")));
    files.sort();

    let mut descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut stubs = descriptors.clone();
    // The stubs of the health service are those of the tonic-health crate.
    stubs.file.retain(|file| file.package() != "grpc.health.v1");
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .bytes(".tradebook.v1.Request")
        .bytes(".tradebook.v1.Reply")
        .compile_fds(stubs)?;

    // Without the comments, which only the generator reads.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    Ok(())
}
