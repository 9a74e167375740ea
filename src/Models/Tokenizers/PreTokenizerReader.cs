using System.Text.RegularExpressions;

namespace Krewe.Models;

/// <summary>When a space marker is put in front of a text.</summary>
internal enum PrefixScheme
{
    /// <summary>Never.</summary>
    Never,

    /// <summary>Only at the very start, not after an added token.</summary>
    First,

    /// <summary>In front of every stretch between added tokens.</summary>
    Always,
}

/// <summary>
/// The <c>pre_tokenizer</c> of tokenizer.json: an optional change of the text (a prefix, spaces to a marker), then
/// splitters in order.
/// </summary>
internal sealed class PreTokenizer
{
    public List<ISplitter> Splitters { get; } = [];

    public bool ByteLevel { get; set; }

    /// <summary>What stands for a space: " " itself, or Metaspace's marker.</summary>
    public string SpaceMarker { get; set; } = " ";

    public PrefixScheme Prefix { get; set; }

    /// <summary>The text that the splitters see.</summary>
    public string Prepare(string text, bool atStart)
    {
        var marked = SpaceMarker == " " ? text : text.Replace(" ", SpaceMarker, StringComparison.Ordinal);
        var prefixed = Prefix == PrefixScheme.Always || (Prefix == PrefixScheme.First && atStart);
        return prefixed && marked.Length > 0 && !marked.StartsWith(SpaceMarker, StringComparison.Ordinal)
            ? SpaceMarker + marked
            : marked;
    }

    public bool ChangesText => SpaceMarker != " " || Prefix != PrefixScheme.Never;
}

/// <summary>Builds a <see cref="PreTokenizer"/>; a component that is not implemented is refused by name.</summary>
internal static class PreTokenizerReader
{
    public static PreTokenizer Read(JsonField? field)
    {
        var result = new PreTokenizer();
        if (field is { } root)
            Add(root, result);
        return result;
    }

    /// <summary>Builds a regular expression, or complains about it by name.</summary>
    public static T ParseRegex<T>(JsonField field, Func<string, T> build)
    {
        try
        {
            return build(field.AsString());
        }
        catch (RegexParseException e)
        {
            throw new ModelException(field.Error(
                $"the pattern \"{field.AsString()}\" is not supported: {e.Message}").Message, e);
        }
    }

    private static void Add(JsonField field, PreTokenizer result)
    {
        var type = field.Required("type");
        if (result.ByteLevel)
            throw type.Error("nothing may follow the pre-tokenizer ByteLevel");
        switch (type.AsString())
        {
            case "Sequence":
                foreach (var child in field.Required("pretokenizers").Items())
                    Add(child, result);
                break;
            case "Split":
                result.Splitters.Add(ReadSplit(field));
                break;
            case "Digits":
                result.Splitters.Add(new DigitSplitter(field.Optional("individual_digits")?.AsBool() ?? false));
                break;
            case "ByteLevel":
                AddByteLevel(field, result);
                break;
            case "Metaspace":
                AddMetaspace(field, result);
                break;
            default:
                throw type.Error($"the pre-tokenizer \"{type.AsString()}\" is not supported; supported are Split, "
                    + "Digits, ByteLevel, Metaspace and Sequence");
        }
    }

    private static ISplitter ReadSplit(JsonField field)
    {
        var behaviorField = field.Required("behavior");
        if (!Enum.TryParse<SplitBehavior>(behaviorField.AsString(), out var behavior)
            || !Enum.IsDefined(behavior))
            throw behaviorField.Wrong(string.Join(", ", Enum.GetNames<SplitBehavior>()));
        var invert = field.Optional("invert")?.AsBool() ?? false;
        var pattern = field.Required("pattern");
        if (pattern.Optional("String") is { } plain)
            return new RegexSplitter(Regex.Escape(plain.AsString()), behavior, invert);

        var regex = pattern.Required("Regex");
        // Patterns that match everything give the same pieces isolated and, inverted, with the "gaps" removed.
        var allMatches = (behavior == SplitBehavior.Isolated && !invert)
            || (behavior == SplitBehavior.Removed && invert);
        return regex.AsString() switch
        {
            GptSplitter.Pattern when allMatches => new GptSplitter(),
            LlamaSplitter.LlamaPattern when allMatches => new LlamaSplitter(digitsMax: 3),
            LlamaSplitter.QwenPattern when allMatches => new LlamaSplitter(digitsMax: 1),
            DigitSplitter.Pattern when behavior == SplitBehavior.Isolated => new DigitSplitter(individual: true),
            _ => ParseRegex(regex, expression => new RegexSplitter(expression, behavior, invert)),
        };
    }

    private static void AddByteLevel(JsonField field, PreTokenizer result)
    {
        if (field.Optional("add_prefix_space")?.AsBool() ?? true)
        {
            if (result.Splitters.Count > 0)
                throw field.Error($"\"{field.Path}.add_prefix_space\" true is not supported after another splitter");
            result.Prefix = PrefixScheme.Always;
        }

        result.ByteLevel = true;
        if (field.Optional("use_regex")?.AsBool() ?? true)
            result.Splitters.Add(new GptSplitter());
    }

    private static void AddMetaspace(JsonField field, PreTokenizer result)
    {
        if (result.Splitters.Count > 0 || result.ChangesText)
            throw field.Error("the pre-tokenizer Metaspace must be the first");
        result.SpaceMarker = field.Required("replacement").AsString();
        result.Prefix = field.Optional("prepend_scheme") is { } scheme
            ? scheme.AsString() switch
            {
                "always" => PrefixScheme.Always,
                "first" => PrefixScheme.First,
                "never" => PrefixScheme.Never,
                _ => throw scheme.Wrong("always, first or never"),
            }
            : (field.Optional("add_prefix_space")?.AsBool() ?? true) ? PrefixScheme.Always : PrefixScheme.Never;
        // Older files have no "split"; it was always on then.
        if (field.Optional("split")?.AsBool() ?? true)
            result.Splitters.Add(
                new RegexSplitter(Regex.Escape(result.SpaceMarker), SplitBehavior.MergedWithNext, invert: false));
    }
}
