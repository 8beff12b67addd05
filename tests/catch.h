// catch: what a test program's main ends in.
#pragma once

namespace tutti::test {

// Runs the tests that the arguments select. The program's exit code.
int run_catch(int argc, char** argv);

}  // namespace tutti::test
