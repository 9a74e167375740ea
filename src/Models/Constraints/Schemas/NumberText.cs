using System.Collections.Immutable;
using System.Globalization;

namespace Krewe.Models;

/// <summary>Numbers between bounds, as text: digit by digit.</summary>
internal static class NumberText
{
    /// <summary>Beyond it a bound bounds nothing: no number here has more than 15 digits before its point.</summary>
    public const long Largest = 999_999_999_999_999;

    /// <summary>Multiples that are listed one by one.</summary>
    private const int ListedMax = 2000;

    /// <summary>Largest divisor that is kept track of digit by digit.</summary>
    private const int DivisorMax = 500;

    /// <summary>Whole numbers from <paramref name="low"/> to <paramref name="high"/>, both included.</summary>
    public static Expr Integers(long low, long high)
    {
        List<Expr> options = [];
        if (high >= 0) options.Add(Naturals(Math.Max(low, 0), high));
        if (low < 0) options.Add(Expr.Of(Expr.Text("-"), Naturals(Math.Max(1, -high), -low)));
        return Expr.Any(options);
    }

    /// <summary>Multiples of <paramref name="divisor"/> between the bounds; null when that takes too many states.
    /// </summary>
    public static Expr? Multiples(long divisor, long low, long high, ConstraintBudget budget)
    {
        var first = low > 0 ? (low + divisor - 1) / divisor : low / divisor;
        var last = high < 0 ? (high - divisor + 1) / divisor : high / divisor;
        if (last - first < ListedMax)
        {
            List<Expr> listed = [];
            for (var factor = first; factor <= last; factor++)
                listed.Add(Expr.Text((factor * divisor).ToString(CultureInfo.InvariantCulture)));
            return Expr.Any(listed);
        }

        if (divisor > DivisorMax || high < Largest || (low > -Largest && low != 0)) return null;
        var digits = Remainders((int)divisor)
            .Intersect(Dfa.OfLength(1, JsonText.DigitsMax, budget), budget).ToExpr(inJson: false);
        return low == 0 ? digits : Expr.Of(Expr.Optional(Expr.Text("-")), digits);
    }

    /// <summary>Numbers between whole bounds, with up to <paramref name="digits"/> digits behind the point.</summary>
    public static Expr Reals(long low, bool aboveLow, long high, bool belowHigh, int digits)
    {
        List<Expr> options = [];
        var (lowest, highest) = (aboveLow ? low + 1 : low, belowHigh ? high - 1 : high);
        if (lowest <= highest) options.Add(Integers(lowest, highest));
        if (digits > 0)
        {
            // n and a fraction lie in [n, n + 1); -n and a fraction in (-n - 1, -n].
            AddFractions(options, "", Math.Max(low, 0), high - 1, aboveLow && low >= 0, digits);
            AddFractions(options, "-", Math.Max(-high, 0), -low - 1, belowHigh && high <= 0, digits);
        }

        return Expr.Any(options);
    }

    /// <summary>Numbers of exactly <paramref name="digits"/> digits behind the point; the bounds are in units of the
    /// last one.</summary>
    public static Expr FixedPoint(long low, long high, int digits)
    {
        List<Expr> options = [];
        if (high >= 0) AddFixed(options, "", Math.Max(low, 0), high, digits);
        if (low < 0) AddFixed(options, "-", Math.Max(1, -high), -low, digits);
        return Expr.Any(options);
    }

    private static void AddFractions(
        List<Expr> options, string sign, long low, long high, bool excludesLow, int digits)
    {
        if (low > high) return;
        var any = Expr.Of(Expr.Text("."), JsonText.Digits(1, digits));
        if (excludesLow)
        {
            var nonZero = Expr.Of(
                Expr.Text("."), JsonText.Digits(0, digits - 1), new Expr.Chars(CodePointSet.Range('1', '9')));
            options.Add(Expr.Of(Expr.Text(sign), Naturals(low, low), nonZero));
            if (++low > high) return;
        }

        options.Add(Expr.Of(Expr.Text(sign), Naturals(low, high), any));
    }

    /// <summary>Whole numbers that are not negative, without leading zeros.</summary>
    private static Expr Naturals(long low, long high)
    {
        List<Expr> options = [];
        for (long first = 0, width = 1; first <= high; first = Pow10(width++))
        {
            var (from, to) = (Math.Max(low, first), Math.Min(high, Pow10(width) - 1));
            if (from <= to) options.Add(FixedWidth(Pad(from, (int)width), Pad(to, (int)width)));
        }

        return Expr.Any(options);
    }

    private static void AddFixed(List<Expr> options, string sign, long low, long high, int digits)
    {
        for (long first = 0, width = 1; first <= high; first = Pow10(width++ + digits))
        {
            var (from, to) = (Math.Max(low, first), Math.Min(high, Pow10(width + digits) - 1));
            if (from > to) continue;
            var size = (int)width + digits;
            options.Add(Expr.Of(Expr.Text(sign), FixedWidth(Pad(from, size), Pad(to, size), (int)width)));
        }
    }

    private static string Pad(long value, int width) =>
        value.ToString(CultureInfo.InvariantCulture).PadLeft(width, '0');

    private static long Pow10(long exponent)
    {
        var value = 1L;
        for (; exponent > 0; exponent--) value *= 10;
        return value;
    }

    /// <summary>Digit strings of one length between two of them; a point goes before digit <paramref name="point"/>.
    /// </summary>
    private static Expr FixedWidth(ReadOnlySpan<char> low, ReadOnlySpan<char> high, int point = -1)
    {
        if (low.IsEmpty) return Expr.Nothing;
        var before = point == 0 ? Expr.Text(".") : Expr.Nothing;
        if (low.IndexOfAnyExcept('0') < 0 && high.IndexOfAnyExcept('9') < 0 && point <= 0)
            return Expr.Of(before, JsonText.Digits(low.Length, low.Length));
        if (low[0] == high[0])
            return Expr.Of(before, Digit(low[0], low[0]), FixedWidth(low[1..], high[1..], point - 1));
        var (zeros, nines) = (new string('0', low.Length - 1), new string('9', low.Length - 1));
        List<Expr> options = [];
        var (first, last) = (low[0], high[0]);
        if (low[1..].IndexOfAnyExcept('0') >= 0)
            options.Add(Expr.Of(Digit(first, first++), FixedWidth(low[1..], nines, point - 1)));
        if (high[1..].IndexOfAnyExcept('9') >= 0)
            options.Add(Expr.Of(Digit(last, last--), FixedWidth(zeros, high[1..], point - 1)));
        if (first <= last) options.Add(Expr.Of(Digit(first, last), FixedWidth(zeros, nines, point - 1)));
        return Expr.Of(before, Expr.Any(options));
    }

    private static Expr.Chars Digit(char first, char last) => new Expr.Chars(CodePointSet.Range(first, last));

    /// <summary>Digit strings without leading zeros by their remainder; those of remainder 0 are accepted.</summary>
    private static Dfa Remainders(int divisor)
    {
        // State 0 is the start, 1 the lone zero, 2 + r what has the remainder r.
        var states = new List<DfaState>
        {
            new(false, [new SymbolEdge('0', '0', 1), .. Steps(0, divisor, from: 1)]),
            new(true, []),
        };
        for (var remainder = 0; remainder < divisor; remainder++)
            states.Add(new DfaState(remainder == 0, [.. Steps(remainder, divisor, from: 0)]));
        return new Dfa(states);
    }

    private static ImmutableArray<SymbolEdge> Steps(int remainder, int divisor, int from) =>
    [
        .. Enumerable.Range(from, 10 - from).Select(digit => new SymbolEdge(
            '0' + digit, '0' + digit, 2 + (((remainder * 10) + digit) % divisor))),
    ];
}
