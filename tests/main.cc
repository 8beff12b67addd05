// main: of every test program that needs no other.
#include "tests/catch.h"

int main(int argc, char** argv) { return tutti::test::run_catch(argc, argv); }
