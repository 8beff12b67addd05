// write_cost: what it costs to write memory that another core has read, by way, and what that core then pays.
#pragma once

namespace tutti {

// Prints microseconds, medians, of a writer and of a reader, which are processes on different CPUs. Returns the program's exit code.
int print_write_costs();

}  // namespace tutti
