// quantity: reads and writes rates and times as text.
//
// A rate is in bits per second, like 500Mbit or 2.5Gbit; a time is like 20us or 5ms. Units are read in any case.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace tutti {

// Returns nothing unless the rate is more than 0 and at most 1e15 bits per second.
std::optional<double> parse_rate(std::string_view text);
// Returns nothing unless the time is 0 to 1000 seconds.
std::optional<double> parse_time(std::string_view text);

// For people to read: 12 digits at most.
std::string text_of_rate(double bps);
std::string text_of_time(double seconds);

// For files: parse_rate() and parse_time() read back the same number. The text has as many digits as that takes.
std::string exact_text_of_rate(double bps);
std::string exact_text_of_time(double seconds);

}  // namespace tutti
