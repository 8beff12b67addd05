// output: files that a program writes at its end. The program checks before it begins whether they can be written.
#pragma once
#include <string>

namespace tutti::tool {

// "" if the file can be written, else an error with the path and the reason. Creates and changes nothing.
std::string cannot_write(const std::string& path);

// Writes the whole text. Returns "" or an error. If there is no room for the text, an existing file keeps its old text.
std::string write_file(const std::string& path, const std::string& text);

}  // namespace tutti::tool
