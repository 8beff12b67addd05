<<<<<<< HEAD
=======
// main: the entry point of every Catch2 executable.
>>>>>>> wt-boot
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
