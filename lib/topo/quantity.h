// quantity: rates and times as a person writes them, and as they are written back.
//
// A rate is in bits per second, like 500Mbit or 2.5Gbit; a time is like 20us or 5ms. Units are read in any case.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace tutti {

// More than 0 and at most 1e15 bits per second; else nothing.
std::optional<double> parse_rate(std::string_view text);
// 0 to 1000 seconds; else nothing.
std::optional<double> parse_time(std::string_view text);

// For people: 12 digits at most.
std::string text_of_rate(double bps);
std::string text_of_time(double seconds);

// For files: the same where it is exact, else all digits. What parse_rate() and parse_time() gave is read back as it was.
std::string exact_text_of_rate(double bps);
std::string exact_text_of_time(double seconds);

}  // namespace tutti
