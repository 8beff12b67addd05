// line: a JSON object as text, member by member. One object of this class writes all the lines of a trace: it allocates no memory for them,
// and does not call printf().
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tutti {

class Line {
 public:
  // The object, closed. The text is valid until the next member is added, which begins a new object.
  std::string_view take();

  Line& text(std::string_view name, std::string_view value);
  Line& number(std::string_view name, int64_t value);
  Line& flag(std::string_view name, bool value);
  // Nanoseconds, as microseconds with three places: the unit of Chrome's format.
  Line& time(std::string_view name, int64_t ns);
  // Members until close() are those of an object inside.
  Line& open(std::string_view name);
  Line& close();

 private:
  void name(std::string_view name);

  std::string text_ = "{";
  bool taken_ = false;
};

// Appends "value" with quotes. What is no valid UTF-8 becomes a question mark: a name in an event may be anything.
void append_quoted(std::string& to, std::string_view value);

}  // namespace tutti
