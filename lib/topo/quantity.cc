// quantity: see quantity.h.
#include "lib/topo/quantity.h"

#include <algorithm>
#include <charconv>
#include <span>

namespace tutti {
namespace {

constexpr double kMaxBps = 1e15, kMaxSeconds = 1000;

struct Unit {
  std::string_view name;
  double value;
};
// In ascending order. text_of() uses the largest unit that gives a number of at least 1.
constexpr Unit kRates[] = {{"bit", 1}, {"Kbit", 1e3}, {"Mbit", 1e6}, {"Gbit", 1e9}, {"Tbit", 1e12}};
constexpr Unit kTimes[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};

bool same_but_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

std::optional<double> parse(std::string_view text, std::span<const Unit> units, double most) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || text[0] == '-') return {};
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  for (const Unit& row : units)
    if (same_but_case(unit, row.name) && number >= 0 && number * row.value <= most) return number * row.value;
  return {};
}

std::string text_of(double value, std::span<const Unit> units) {
  size_t unit = 0;
  for (size_t i = 0; i < units.size(); ++i)
    if (value >= units[i].value * (1 - 1e-12)) unit = i;
  char digits[64];
  // 12 digits are more than a person writes. The error of dividing by a power of ten is in later digits.
  char* const end = std::to_chars(digits, digits + sizeof digits, value / units[unit].value, std::chars_format::general, 12).ptr;
  return std::string(digits, end).append(units[unit].name);
}

// All digits, in the unit whose value is 1: reading another unit would round the product.
std::string all_digits_of(double value, std::string_view unit) {
  char digits[512];  // the smallest numbers begin with 324 zeros
  char* const end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed).ptr;
  return std::string(digits, end).append(unit);
}

}  // namespace

std::optional<double> parse_rate(std::string_view text) {
  const std::optional<double> bps = parse(text, kRates, kMaxBps);
  return bps == 0 ? std::nullopt : bps;
}

std::optional<double> parse_time(std::string_view text) { return parse(text, kTimes, kMaxSeconds); }

std::string text_of_rate(double bps) { return text_of(bps, kRates); }

std::string text_of_time(double seconds) { return text_of(seconds, kTimes); }

std::string exact_text_of_rate(double bps) {
  const std::string text = text_of_rate(bps);
  return parse_rate(text) == bps ? text : all_digits_of(bps, "bit");
}

std::string exact_text_of_time(double seconds) {
  const std::string text = text_of_time(seconds);
  return parse_time(text) == seconds ? text : all_digits_of(seconds, "s");
}

}  // namespace tutti
