// catch: Catch2's own code, once for all test programs.
//
// gcc 12 with -fsanitize sees an uninitialized std::function inside <regex>, which Catch2's runner includes; it is none.
#if !defined(__clang__)  // which does not know this warning
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "tests/catch.h"

namespace tutti::test {

int run_catch(int argc, char** argv) { return Catch::Session().run(argc, argv); }

}  // namespace tutti::test
