// refused: what the tests of wrong calls share. A wrong call is answered with the documented code and a sentence that names
// what is wrong; and nothing has happened, so that the communicator goes on working.
#pragma once
#include <array>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

#include "include/tutti/tutti.h"
#include "tests/catch.h"
#include "tests/harness/pair.h"

namespace tutti::test {

inline void check_sentence(std::initializer_list<const char*> words) {
  const std::string text = tuttiGetLastError(nullptr);
  INFO("tuttiGetLastError: " << text);
  for (const char* word : words) CHECK_THAT(text, Catch::Contains(word));
}

// Checks the error text of the last call: it contains all words and begins with the name of the function that refused. `call` is the call
// as the test writes it. If `call` does not begin with that name (a row of a table, a group), the first word may be the name.
inline void check_refusal(const std::string& call, std::initializer_list<const char*> words) {
  check_sentence(words);
  const std::string text = tuttiGetLastError(nullptr);
  std::string function = call.substr(0, call.find('('));
  if (function.find("tutti") != 0 || function == "tuttiGroupEnd") {
    const std::string first = words.size() > 0 ? *words.begin() : "";
    function = first.find("tutti") == 0 ? first : text.substr(0, text.find_first_of(": "));
  }
  INFO("tuttiGetLastError: " << text);
  CHECK(function.size() > 5);
  CHECK(function.find("tutti") == 0);
  CHECK(text.find(function + (function == "tuttiGroupEnd without tuttiGroupStart" ? "" : ": ")) == 0);
}

// The call returns `code`, and check_refusal() holds.
#define ENDS_WITH(code, call, ...)        \
  do {                                    \
    INFO(#call);                          \
    CHECK((call) == (code));              \
    check_refusal(#call, {__VA_ARGS__});  \
  } while (0)
// The call returns tuttiInvalidArgument, and check_refusal() holds.
#define REFUSED(call, ...) ENDS_WITH(tuttiInvalidArgument, call, __VA_ARGS__)

struct WorkingPair : Pair {
  // Whether collectives and messages still give the right values.
  void check_works() {
    std::array<std::array<int, 3>, 2> values{}, sums{}, received{};
    ++round_;
    for (int rank = 0; rank < 2; ++rank) values[rank] = {round_ + rank, 7 * rank, -round_ * rank};
    REQUIRE(tuttiGroupStart() == tuttiSuccess);
    for (int rank = 0; rank < 2; ++rank) {
      CHECK(tuttiAllReduce(values[rank].data(), sums[rank].data(), 3, tuttiInt, tuttiSum, comms[rank], nullptr) ==
            tuttiSuccess);
      CHECK(tuttiSend(values[rank].data(), 3, tuttiInt, 1 - rank, comms[rank], nullptr) == tuttiSuccess);
      CHECK(tuttiRecv(received[rank].data(), 3, tuttiInt, 1 - rank, comms[rank], nullptr) == tuttiSuccess);
    }
    REQUIRE(tuttiGroupEnd() == tuttiSuccess);
    for (int rank = 0; rank < 2; ++rank) {
      CHECK(sums[rank] == std::array<int, 3>{2 * round_ + 1, 7, -round_});
      CHECK(received[rank] == values[1 - rank]);
    }
  }

 private:
  int round_ = 0;
};

// A setting for the time of a scope.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Environment() { unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* const name_;
};

// Things that are no handle: nothing, small numbers, odd and even, an object's address, all bits.
template <typename Handle>
std::vector<Handle> not_handles() {
  static int object;
  std::vector<Handle> handles;
  for (uintptr_t value : {uintptr_t{0}, uintptr_t{1}, uintptr_t{2}, uintptr_t{0x1001}, uintptr_t{0xdeadbeef}, ~uintptr_t{0},
                          reinterpret_cast<uintptr_t>(&object), reinterpret_cast<uintptr_t>(&object) + 1})
    handles.push_back(reinterpret_cast<Handle>(value));
  return handles;
}

}  // namespace tutti::test
