//! infinite-loop: computes for ever, and never calls the host again after its first line of output.
//!
//! Such a program cannot be asked to stop; only its limits or a deletion end it.

fn main() {
    println!("computing until somebody stops me");
    // A random number generator (George Marsaglia's xorshift): from any number but 0 it never comes to 0.
    let mut number: u32 = 1;
    while number != 0 {
        number ^= number << 13;
        number ^= number >> 17;
        number ^= number << 5;
    }
    println!("this line is never printed");
}
