using System.Text.RegularExpressions;

namespace Krewe.Models;

/// <summary>Text to text before splitting: the <c>normalizer</c> of tokenizer.json as a list of steps.</summary>
internal sealed class Normalizer
{
    private static readonly TimeSpan MatchTimeout = TimeSpan.FromSeconds(10);

    private readonly List<Func<string, string>> _steps = [];

    public bool IsEmpty => _steps.Count == 0;

    public static Normalizer Read(JsonField? field)
    {
        var normalizer = new Normalizer();
        if (field is { } root)
            normalizer.Add(root);
        return normalizer;
    }

    public string Apply(string text) => _steps.Aggregate(text, (current, step) => step(current));

    /// <summary>A Replace step's function; its pattern is a plain string or a regular expression.</summary>
    public static Func<string, string> ReadReplace(JsonField field)
    {
        var content = field.Required("content").AsString();
        var pattern = field.Required("pattern");
        if (pattern.Optional("String") is { } plain)
        {
            var from = plain.AsString();
            return from.Length > 0
                ? text => text.Replace(from, content, StringComparison.Ordinal)
                : throw plain.Wrong("a string that is not empty");
        }

        var regex = PreTokenizerReader.ParseRegex(
            pattern.Required("Regex"),
            expression => new Regex(expression, RegexOptions.CultureInvariant, MatchTimeout));
        // A literal replacement: HF content has no group references.
        return text => regex.Replace(text, _ => content);
    }

    private void Add(JsonField field)
    {
        var type = field.Required("type");
        switch (type.AsString())
        {
            case "Sequence":
                foreach (var child in field.Required("normalizers").Items())
                    Add(child);
                break;
            case "NFC":
                _steps.Add(UnicodeNfc.Normalize);
                break;
            case "Lowercase":
                _steps.Add(text => text.ToLowerInvariant());
                break;
            case "Prepend":
                var prefix = field.Required("prepend").AsString();
                _steps.Add(text => text.Length > 0 ? prefix + text : text);
                break;
            case "Replace":
                _steps.Add(ReadReplace(field));
                break;
            default:
                throw type.Error($"the normalizer \"{type.AsString()}\" is not supported; supported are NFC, "
                    + "Lowercase, Prepend, Replace and Sequence");
        }
    }
}
