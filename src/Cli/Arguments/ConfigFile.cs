using System.CommandLine;
using System.CommandLine.Help;
using System.Text.Json;

namespace Krewe.Cli;

/// <summary>
/// <c>--config FILE</c>: a JSON object of long option names without their dashes, as if each stood on the command line,
/// where the same option goes first. So values mean, and are refused, the same in both places.
/// </summary>
internal static class ConfigFile
{
    private const string Name = "--config";

    private static readonly JsonDocumentOptions Lenient = new()
    {
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    };

    /// <summary>For a command that may be told the rest of its options by a file.</summary>
    public static Option<string?> Option() => Setting.InputFile(
        Name, "FILE", "JSON of these options, without dashes; what the command line says goes first.");

    /// <summary>The command line with what the file adds to it; its own words where there is none.</summary>
    /// <param name="errors">What the file has and nobody knows.</param>
    public static ParseResult Read(
        ParseResult result, IReadOnlyList<string> words, Func<IReadOnlyList<string>, ParseResult> parse,
        out IReadOnlyList<string> errors)
    {
        errors = [];
        // One that is not there was told by the parser.
        var option = result.CommandResult.Command.Options.FirstOrDefault(one => one.Name == Name);
        if (option is null || result.GetResult(option)?.Tokens is not [var file] || !File.Exists(file.Value))
            return result;
        List<string> all = [.. words];
        List<string> wrong = [];
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllText(file.Value), Lenient);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                wrong.Add("it must be a JSON object like {\"port\": 8080, \"prefill\": 2}.");
            else
                foreach (var field in document.RootElement.EnumerateObject()) Take(field, result, all, wrong);
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            wrong.Add(e.Message);
        }

        errors = [.. wrong.Select(text => $"{Name} {file.Value}: {text}")];
        return parse(all);
    }

    private static void Take(JsonProperty field, ParseResult result, List<string> words, List<string> wrong)
    {
        var known = UsageErrors.Options(result.CommandResult)
            .Where(option => option is not HelpOption and not VersionOption && option.Name != Name).ToArray();
        if (known.FirstOrDefault(option => option.Name == $"--{field.Name}") is not { } meant)
        {
            var names = known.Where(option => !option.Hidden).Select(option => option.Name[2..]);
            wrong.Add($"there is no option '{field.Name}'.{UsageErrors.Nearest(field.Name.TrimStart('-'), names)}");
            return;
        }

        if (result.GetResult(meant) is { Implicit: false }) return;
        var texts = meant is Option<bool> ? SwitchOf(field.Value, meant) : TextsOf(field.Value, meant);
        if (texts is not null) words.AddRange(texts);
        else wrong.Add($"'{field.Name}' is {field.Value.GetRawText()}; it takes {Taken(meant)}: {meant.Description}");
    }

    private static string[]? SwitchOf(JsonElement value, Option option) => value.ValueKind switch
    {
        JsonValueKind.True => [option.Name],
        JsonValueKind.False => [],
        _ => null,
    };

    /// <summary>Null where the value's kind is none that an option takes.</summary>
    private static string[]? TextsOf(JsonElement value, Option option)
    {
        if (value.ValueKind != JsonValueKind.Array)
            return TextOf(value) is { } text ? [$"{option.Name}={text}"] : null;
        string[] texts = [.. value.EnumerateArray().Select(TextOf).OfType<string>()];
        if (texts.Length == 0 || texts.Length != value.GetArrayLength()) return null;
        // Lists that the command line has in one word.
        if (option.Arity.MaximumNumberOfValues == 1) texts = [string.Join(',', texts)];
        return [.. texts.Select(text => $"{option.Name}={text}")];
    }

    private static string? TextOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Number => value.GetRawText(),
        _ => null,
    };

    private static string Taken(Option option) => option is Option<bool> ? "true or false" : option.HelpName ?? "text";
}
