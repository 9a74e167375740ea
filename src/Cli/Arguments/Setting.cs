using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Net;

namespace Krewe.Cli;

/// <summary>Options whose parsers name the option, what was given and what is legal: type and range alike.</summary>
internal static class Setting
{
    public static UsualOption<int> Count(string name, string description, int usual, int min, int max = int.MaxValue) =>
        new(OptionalCount(name, $"{description} Default {usual}.", min, max), usual);

    /// <summary>A count without a default: null when not given.</summary>
    public static Option<int?> OptionalCount(string name, string description, int min, int max = int.MaxValue) =>
        new(name)
        {
            Description = description,
            HelpName = "N",
            CustomParser = result => ParseCount(result, name, min, max),
        };

    /// <summary>A number without a default: null when not given.</summary>
    public static Option<float?> OptionalNumber(string name, string description, float min, float max) =>
        new(name)
        {
            Description = description,
            HelpName = "X",
            CustomParser = result => Parse<float>(
                result,
                text => float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
                    && value >= min && value <= max
                        ? value
                        : null,
                name,
                string.Create(CultureInfo.InvariantCulture, $"it must be a number from {min} to {max}.")),
        };

    public static UsualOption<TimeSpan> Seconds(string name, string description, TimeSpan usual) =>
        new(
            OptionalSeconds(name, string.Create(
                CultureInfo.InvariantCulture, $"{description} Default {usual.TotalSeconds}.")),
            usual);

    /// <summary>A time that may be 0, which has a meaning of its own.</summary>
    public static UsualOption<TimeSpan> SecondsOrZero(string name, string description, TimeSpan usual) =>
        new(
            OptionalSeconds(
                name,
                string.Create(CultureInfo.InvariantCulture, $"{description} Default {usual.TotalSeconds}."),
                mayBeZero: true),
            usual);

    /// <summary>A time without a default: null when not given.</summary>
    public static Option<TimeSpan?> OptionalSeconds(string name, string description, bool mayBeZero = false) =>
        new(name)
        {
            Description = description,
            HelpName = "SECONDS",
            CustomParser = result => Parse<TimeSpan>(
                result,
                text => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
                    && value is >= 0 and < 1e9 && (value > 0 || mayBeZero)
                        ? TimeSpan.FromSeconds(value)
                        : null,
                name,
                mayBeZero ? "it must be a number of seconds, or 0." : "it must be a positive number of seconds."),
        };

    public static UsualOption<long> Bytes(string name, string description, long usual) =>
        new(OptionalBytes(name, $"{description} Default {ByteSize.Format(usual)}."), usual);

    /// <summary>A size without a default: null when not given.</summary>
    public static Option<long?> OptionalBytes(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "SIZE",
        CustomParser = result => Parse<long>(
            result,
            text => ByteSize.TryParse(text, out var bytes) ? bytes : null,
            name,
            "write it like 512MiB, 2GiB or 65536."),
    };

    public static UsualOption<T> Choice<T>(string name, string description, T usual)
        where T : struct, Enum =>
        new(OptionalChoice<T>(name, $"{description} Default {Name(usual)}."), usual);

    /// <summary>One of an enum's names, in lower case; null when not given.</summary>
    public static Option<T?> OptionalChoice<T>(string name, string description)
        where T : struct, Enum
    {
        var names = Enum.GetValues<T>().Select(Name).ToArray();
        var option = new Option<T?>(name)
        {
            Description = description,
            HelpName = string.Join('|', names),
            CustomParser = result => Parse<T>(
                result,
                text => names.Contains(text, StringComparer.OrdinalIgnoreCase) ? Enum.Parse<T>(text, true) : null,
                name,
                $"it must be one of {List(names)}."),
        };
        Complete(option, names);
        return option;
    }

    /// <summary>One of some names, as they are spelled here; null when not given.</summary>
    public static Option<string?> OneOf(
        string name, string helpName, string description, params IEnumerable<string> names)
    {
        var known = names.ToArray();
        var option = new Option<string?>(name)
        {
            Description = description,
            HelpName = helpName,
            CustomParser = result =>
            {
                var text = result.Tokens[0].Value;
                var meant = known.FirstOrDefault(one => one.Equals(text, StringComparison.OrdinalIgnoreCase));
                if (meant is null) result.AddError($"{name} is '{text}'; it must be one of {List(known)}.");
                return meant;
            },
        };
        Complete(option, known);
        return option;
    }

    /// <summary>Some of some names, each as an argument of its own; empty when not given.</summary>
    public static Option<string[]> SomeOf(
        string name, string helpName, string description, params IEnumerable<string> names)
    {
        var known = names.ToArray();
        var option = new Option<string[]>(name)
        {
            Description = description,
            HelpName = helpName,
            CustomParser = result =>
            {
                var given = result.Tokens.Select(token => token.Value).ToArray();
                foreach (var text in given.Except(known))
                    result.AddError($"{name} is '{text}'; it must be one of {List(known)}.");
                return given;
            },
        };
        Complete(option, known);
        return option;
    }

    /// <summary>A file that is to be read, and must be there; null when not given.</summary>
    public static Option<string?> InputFile(string name, string helpName, string description) => new(name)
    {
        Description = description,
        HelpName = helpName,
        CustomParser = result =>
        {
            var path = result.Tokens[0].Value;
            DemandFile(result, name, path);
            return path;
        },
    };

    /// <summary>Adds the error of a file that is to be read and is not there.</summary>
    public static void DemandFile(SymbolResult result, string name, string path)
    {
        if (!File.Exists(path)) result.AddError($"{name} is '{path}'; it must be a file, and it does not exist.");
    }

    /// <summary>Any whole number of 64 bits; null when not given.</summary>
    public static Option<long?> OptionalLong(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "N",
        CustomParser = result => Parse<long>(
            result,
            text => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
                ? value
                : null,
            name,
            "it must be a whole number of 64 bits."),
    };

    /// <summary>What a shell offers behind the option, in place of the type's own names.</summary>
    public static void Complete(Option option, params string[] names)
    {
        option.CompletionSources.Clear();
        option.CompletionSources.Add(names);
    }

    /// <summary>IP:PORT, or a port of this machine alone; null when not given.</summary>
    public static Option<IPEndPoint?> OptionalEndpoint(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "[IP:]PORT",
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            var address = text.Contains(':', StringComparison.Ordinal) ? text : $"127.0.0.1:{text}";
            if (IPEndPoint.TryParse(address, out var endpoint) && endpoint.Port > 0) return endpoint;
            result.AddError($"{name} is '{text}'; it must be a port, or an IP address and a port, like 0.0.0.0:9400.");
            return null;
        },
    };

    public static Option<string?> Text(string name, string helpName, string description) =>
        new(name) { Description = description, HelpName = helpName };

    /// <summary>An argument that may be left out.</summary>
    public static Argument<string?> OptionalArgument(string name, string description) =>
        new(name) { Description = description, Arity = ArgumentArity.ZeroOrOne };

    /// <summary>An http or https address; null when not given.</summary>
    /// <param name="name">With its dashes.</param>
    /// <param name="description">For help, without the default.</param>
    /// <param name="usual">What is meant when none is given, for help and errors.</param>
    public static Option<Uri?> Address(string name, string description, string usual) => new(name)
    {
        Description = $"{description} Default {usual}.",
        HelpName = "URL",
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            if (Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https")
                return address;
            result.AddError($"{name} is '{text}'; it must look like {usual}.");
            return null;
        },
    };

    /// <summary>How <see cref="Choice{T}"/> spells an enum's value.</summary>
    public static string Name<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();

    private static string List(IEnumerable<string> names) => string.Join(", ", names);

    private static int? ParseCount(ArgumentResult result, string name, int min, int max) => Parse<int>(
        result,
        text => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
            && value >= min && value <= max
                ? value
                : null,
        name,
        max == int.MaxValue
            ? $"it must be a whole number of at least {min}."
            : $"it must be a whole number from {min} to {max}.");

    private static T? Parse<T>(ArgumentResult result, Func<string, T?> parse, string name, string rule)
        where T : struct
    {
        var text = result.Tokens[0].Value;
        var value = parse(text);
        if (value is null) result.AddError($"{name} is '{text}'; {rule}");
        return value;
    }
}
