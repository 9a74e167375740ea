using System.Globalization;

namespace Krewe.Cli;

/// <summary>Numbers of bytes as people write them: <c>256MiB</c>, <c>65536</c>. Units are powers of 1024.</summary>
internal static class ByteSize
{
    private static readonly (string Suffix, int Shift)[] Units =
    [
        ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("K", 10), ("M", 20), ("G", 30), ("T", 40), ("B", 0),
    ];

    public static bool TryParse(string text, out long bytes)
    {
        text = text.Trim();
        var shift = 0;
        foreach (var unit in Units)
        {
            if (!text.EndsWith(unit.Suffix, StringComparison.OrdinalIgnoreCase)) continue;
            text = text[..^unit.Suffix.Length].TrimEnd();
            shift = unit.Shift;
            break;
        }

        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number <= long.MaxValue >> shift)
        {
            bytes = number << shift;
            return true;
        }

        bytes = 0;
        return false;
    }

    /// <summary>For people; not for parsing back.</summary>
    public static string Format(long bytes)
    {
        var unit = 0;
        while (unit < 4 && bytes >= 1L << Units[unit].Shift) unit++;
        var (suffix, shift) = unit == 0 ? ("B", 0) : Units[unit - 1];
        return string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << shift):0.#} {suffix}");
    }
}
