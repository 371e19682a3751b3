//! Lists the strategies of a facade that has the feature `rabbit` alone.

fn main() {
    for driver in glance_notify::transport::DRIVERS {
        println!("`{}`", driver.name);
    }
}
