using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Krewe.Cli;

/// <summary>Options whose parsers name the option, what was given and what is legal: type and range alike.</summary>
internal static class Setting
{
    public static Option<int> Count(string name, string description, int usual, int min, int max = int.MaxValue) =>
        new(name)
        {
            Description = $"{description} Default {usual}.",
            HelpName = "N",
            DefaultValueFactory = _ => usual,
            CustomParser = result => ParseCount(result, name, min, max),
        };

    /// <summary>A count without a default: null when not given.</summary>
    public static Option<int?> OptionalCount(string name, string description, int min, int max = int.MaxValue) =>
        new(name)
        {
            Description = description,
            HelpName = "N",
            CustomParser = result => ParseCount(result, name, min, max),
        };

    public static Option<double> Number(string name, string description, double usual, double min, double max) =>
        new(name)
        {
            Description = string.Create(CultureInfo.InvariantCulture, $"{description} Default {usual}."),
            HelpName = "X",
            DefaultValueFactory = _ => usual,
            CustomParser = result =>
            {
                var text = result.Tokens[0].Value;
                if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
                    && value >= min && value <= max)
                    return value;
                result.AddError(string.Create(
                    CultureInfo.InvariantCulture, $"{name} is '{text}'; it must be a number from {min} to {max}."));
                return usual;
            },
        };

    public static Option<TimeSpan> Seconds(string name, string description, TimeSpan usual) =>
        new(name)
        {
            Description = string.Create(CultureInfo.InvariantCulture, $"{description} Default {usual.TotalSeconds} s."),
            HelpName = "SECONDS",
            DefaultValueFactory = _ => usual,
            CustomParser = result =>
            {
                var text = result.Tokens[0].Value;
                if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
                    && value is > 0 and < 1e9)
                    return TimeSpan.FromSeconds(value);
                result.AddError($"{name} is '{text}'; it must be a positive number of seconds.");
                return usual;
            },
        };

    public static Option<long> Bytes(string name, string description, long usual) =>
        new(name)
        {
            Description = $"{description} Default {ByteSize.Format(usual)}.",
            HelpName = "SIZE",
            DefaultValueFactory = _ => usual,
            CustomParser = result =>
            {
                var text = result.Tokens[0].Value;
                if (ByteSize.TryParse(text, out var bytes)) return bytes;
                result.AddError($"{name} is '{text}'; write it like 512MiB, 2GiB or 65536.");
                return usual;
            },
        };

    /// <summary>One of an enum's names, in lower case; null when not given.</summary>
    public static Option<T?> OptionalChoice<T>(string name, string description)
        where T : struct, Enum =>
        new(name)
        {
            Description = $"{description} One of {Names<T>()}.",
            HelpName = Names<T>().Replace(", ", "|", StringComparison.Ordinal),
            CustomParser = result => ParseChoice<T>(result, name),
        };

    public static Option<T> Choice<T>(string name, string description, T usual)
        where T : struct, Enum =>
        new(name)
        {
            Description = $"{description} One of {Names<T>()}. Default {Name(usual)}.",
            HelpName = Names<T>().Replace(", ", "|", StringComparison.Ordinal),
            DefaultValueFactory = _ => usual,
            CustomParser = result => ParseChoice<T>(result, name) ?? usual,
        };

    public static Option<string?> Text(string name, string helpName, string description) =>
        new(name) { Description = description, HelpName = helpName };

    /// <summary>An argument that may be left out. A misspelt option would land here: it is refused by name.</summary>
    public static Argument<string?> OptionalArgument(string name, string description) =>
        new(name)
        {
            Description = description,
            Arity = ArgumentArity.ZeroOrOne,
            CustomParser = result =>
            {
                var text = result.Tokens[0].Value;
                if (text.StartsWith('-')) result.AddError($"Unknown option '{text}'.");
                return text;
            },
        };

    /// <summary>How <see cref="Choice{T}"/> spells an enum's value.</summary>
    public static string Name<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();

    private static int ParseCount(ArgumentResult result, string name, int min, int max)
    {
        var text = result.Tokens[0].Value;
        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
            && value >= min && value <= max)
            return value;
        var range = max == int.MaxValue ? $"of at least {min}" : $"from {min} to {max}";
        result.AddError($"{name} is '{text}'; it must be a whole number {range}.");
        return min;
    }

    private static T? ParseChoice<T>(ArgumentResult result, string name)
        where T : struct, Enum
    {
        var text = result.Tokens[0].Value;
        foreach (var value in Enum.GetValues<T>())
        {
            if (string.Equals(value.ToString(), text, StringComparison.OrdinalIgnoreCase)) return value;
        }

        result.AddError($"{name} is '{text}'; it must be one of {Names<T>()}.");
        return null;
    }

    private static string Names<T>()
        where T : struct, Enum => string.Join(", ", Enum.GetValues<T>().Select(Name));
}
