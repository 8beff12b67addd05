// catch: Catch2's own code, once for all test programs; Catch2 3 brings it as a library, which is called from here.
//
// gcc 12 with -fsanitize sees an uninitialized std::function inside <regex>, which Catch2's runner includes; it is none.
#if !defined(__clang__)  // which does not know this warning
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"
#if CATCH2_MAJOR >= 3
#include <catch2/catch_session.hpp>
#endif

namespace tutti::test {

int run_catch(int argc, char** argv) { return Catch::Session().run(argc, argv); }

}  // namespace tutti::test
