#include "common/text/jinja/strftime.h"

#include <optional>

#include "absl/strings/str_format.h"

namespace banyan::jinja {
namespace {

constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};

std::string Padded(int value, int width) { return absl::StrFormat("%0*d", width, value); }

int IsoWeekday(const std::tm& t) { return t.tm_wday == 0 ? 7 : t.tm_wday; }

bool IsLeap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

// ISO 8601: week 1 holds the year's first Thursday. The year goes to `*year`.
int IsoWeek(const std::tm& t, int* year) {
  *year = t.tm_year + 1900;
  const int week = (t.tm_yday + 1 - IsoWeekday(t) + 10) / 7;
  if (week >= 1) {
    const int days = IsLeap(*year) ? 366 : 365;
    if (week == 53 && t.tm_yday - IsoWeekday(t) + 4 >= days) {
      ++*year;
      return 1;
    }
    return week;
  }
  --*year;
  const int days = IsLeap(*year) ? 366 : 365;
  return (t.tm_yday + 1 + days - IsoWeekday(t) + 10) / 7;
}

// Directives of the day; nullopt for others.
std::optional<std::string> FormatDate(const std::tm& t, char directive) {
  int iso_year = 0;
  const int iso_week = IsoWeek(t, &iso_year);
  switch (directive) {
    case 'Y':
      return absl::StrFormat("%d", t.tm_year + 1900);
    case 'y':
      return Padded(t.tm_year % 100, 2);
    case 'C':
      return Padded((t.tm_year + 1900) / 100, 2);
    case 'm':
      return Padded(t.tm_mon + 1, 2);
    case 'd':
      return Padded(t.tm_mday, 2);
    case 'e':
      return absl::StrFormat("%2d", t.tm_mday);
    case 'j':
      return Padded(t.tm_yday + 1, 3);
    case 'A':
      return std::string(kDays[t.tm_wday]);
    case 'a':
      return std::string(kDays[t.tm_wday].substr(0, 3));
    case 'B':
      return std::string(kMonths[t.tm_mon]);
    case 'b':
    case 'h':
      return std::string(kMonths[t.tm_mon].substr(0, 3));
    case 'w':
      return absl::StrFormat("%d", t.tm_wday);
    case 'u':
      return absl::StrFormat("%d", IsoWeekday(t));
    case 'U':
      return Padded((t.tm_yday + 7 - t.tm_wday) / 7, 2);
    case 'W':
      return Padded((t.tm_yday + 7 - (IsoWeekday(t) - 1)) / 7, 2);
    case 'V':
      return Padded(iso_week, 2);
    case 'G':
      return absl::StrFormat("%d", iso_year);
    default:
      return std::nullopt;
  }
}

// Directives of the time of day; nullopt for others.
std::optional<std::string> FormatTimeOfDay(const std::tm& t, char directive) {
  const int hour12 = t.tm_hour % 12 == 0 ? 12 : t.tm_hour % 12;
  switch (directive) {
    case 'H':
      return Padded(t.tm_hour, 2);
    case 'k':
      return absl::StrFormat("%2d", t.tm_hour);
    case 'I':
      return Padded(hour12, 2);
    case 'l':
      return absl::StrFormat("%2d", hour12);
    case 'M':
      return Padded(t.tm_min, 2);
    case 'S':
      return Padded(t.tm_sec, 2);
    case 'f':
      return "000000";
    case 'p':
      return t.tm_hour < 12 ? "AM" : "PM";
    case 'P':
      return t.tm_hour < 12 ? "am" : "pm";
    case 'Z':
    case 'z':
      return "";  // naive time, as datetime.now() gives
    default:
      return std::nullopt;
  }
}

// Directives that stand for others.
std::optional<std::string> FormatComposed(const std::tm& t, char directive) {
  switch (directive) {
    case 'D':
    case 'x':
      return FormatTime(t, "%m/%d/%y");
    case 'F':
      return FormatTime(t, "%Y-%m-%d");
    case 'T':
    case 'X':
      return FormatTime(t, "%H:%M:%S");
    case 'R':
      return FormatTime(t, "%H:%M");
    case 'r':
      return FormatTime(t, "%I:%M:%S %p");
    case 'c':
      return FormatTime(t, "%a %b %e %H:%M:%S %Y");
    case 'n':
      return "\n";
    case 't':
      return "\t";
    case '%':
      return "%";
    default:
      return std::nullopt;
  }
}

std::string FormatDirective(const std::tm& t, char directive) {
  if (std::optional<std::string> text = FormatDate(t, directive)) return *text;
  if (std::optional<std::string> text = FormatTimeOfDay(t, directive)) return *text;
  if (std::optional<std::string> text = FormatComposed(t, directive)) return *text;
  return std::string("%") + directive;
}

}  // namespace

std::string FormatTime(const std::tm& time, std::string_view format) {
  std::string result;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      result.push_back(format[i]);
      continue;
    }
    ++i;
    // glibc's `-` flag: no padding.
    const bool unpadded = format[i] == '-' && i + 1 < format.size();
    if (unpadded) ++i;
    std::string part = FormatDirective(time, format[i]);
    while (unpadded && part.size() > 1 && (part[0] == '0' || part[0] == ' ')) part.erase(0, 1);
    result += part;
  }
  return result;
}

}  // namespace banyan::jinja
