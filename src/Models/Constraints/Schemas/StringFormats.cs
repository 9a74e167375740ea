namespace Krewe.Models;

/// <summary>The formats of strings that JSON Schema names, as regular expressions. Each is a part of what the format
/// allows: what is written in it is accepted by every checker.</summary>
internal static class StringFormats
{
    private const string Date =
        "[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
        + "|02-(?:0[1-9]|1[0-9]|2[0-8]))";

    private const string Time =
        "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])";

    private const string Octet = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

    private const string Label = "[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?";

    private const string Host = $"{Label}(?:\\.{Label}){{0,3}}\\.[a-z]{{2,8}}";

    private static readonly Dictionary<string, string> Patterns = new(StringComparer.Ordinal)
    {
        ["date"] = Date,
        ["time"] = Time,
        ["date-time"] = $"{Date}T{Time}",
        ["duration"] = "P(?:[0-9]{1,3}W|(?:[0-9]{1,3}D)(?:T[0-9]{1,2}H(?:[0-9]{1,2}M)?)?|T[0-9]{1,3}[HMS]"
            + "|[0-9]{1,3}Y(?:[0-9]{1,2}M)?)",
        ["email"] = $"[A-Za-z0-9_+-]{{1,20}}(?:\\.[A-Za-z0-9_+-]{{1,20}}){{0,2}}@{Host}",
        ["hostname"] = Host,
        ["ipv4"] = $"{Octet}(?:\\.{Octet}){{3}}",
        ["ipv6"] = "(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}",
        ["uuid"] = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        ["uri"] = $"https?://{Host}(?:/[A-Za-z0-9_.~-]{{0,20}}){{0,4}}(?:\\?[a-z0-9]{{1,10}}=[A-Za-z0-9]{{0,10}})?",
    };

    public static string Names => string.Join(", ", Patterns.Keys.Order(StringComparer.Ordinal));

    /// <summary>Null for a format that is not known.</summary>
    public static string? PatternOf(string format) => Patterns.GetValueOrDefault(format);
}
