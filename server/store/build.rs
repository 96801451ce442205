//! Rebuilds this crate when a migration is added: `sqlx::migrate!` embeds the folders but cannot see new files by itself.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../migrations/postgres");
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
}
