namespace Krewe.Models;

/// <summary>The special tokens around a text: the <c>post_processor</c> of tokenizer.json, for a single sequence.
/// </summary>
internal sealed class PostProcessor
{
    private readonly List<int> _prefix = [];
    private readonly List<int> _suffix = [];

    public IReadOnlyList<int> Prefix => _prefix;

    public IReadOnlyList<int> Suffix => _suffix;

    public static PostProcessor Read(JsonField? field, Vocabulary vocabulary)
    {
        var result = new PostProcessor();
        if (field is { } root)
            result.Add(root, vocabulary);
        return result;
    }

    private void Add(JsonField field, Vocabulary vocabulary)
    {
        var type = field.Required("type");
        switch (type.AsString())
        {
            case "Sequence":
                foreach (var child in field.Required("processors").Items())
                    Add(child, vocabulary);
                break;
            case "ByteLevel":
                // Only trims offsets, which nobody here asks for.
                break;
            case "TemplateProcessing":
                AddTemplate(field, vocabulary);
                break;
            default:
                throw type.Error($"the post-processor \"{type.AsString()}\" is not supported; supported are "
                    + "TemplateProcessing, ByteLevel and Sequence");
        }
    }

    private void AddTemplate(JsonField field, Vocabulary vocabulary)
    {
        var (before, after) = (new List<int>(), new List<int>());
        var sequences = 0;
        foreach (var item in field.Required("single").Items())
        {
            if (item.Optional("Sequence") is not null)
            {
                sequences++;
                continue;
            }

            var name = item.Required("SpecialToken").Required("id").AsString();
            foreach (var id in field.Required("special_tokens").Required(name).Required("ids").Items())
            {
                var token = id.AsInt(min: 0);
                if (vocabulary.Text(token) is null)
                    throw id.Error($"\"{id.Path}\" is {token}, which is not a token of the vocabulary");
                (sequences == 0 ? before : after).Add(token);
            }
        }

        if (sequences != 1)
            throw field.Error($"\"{field.Path}.single\" must contain the sequence once, found {sequences} times");
        // A later template goes around what the earlier ones made.
        _prefix.InsertRange(0, before);
        _suffix.AddRange(after);
    }
}
