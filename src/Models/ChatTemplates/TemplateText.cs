using System.Globalization;
using System.Text;

namespace Krewe.Models;

/// <summary>Values as text: Python's <c>str</c> and <c>repr</c>, and JSON as <c>json.dumps</c> writes it.</summary>
internal sealed class TemplateText
{
    private readonly TemplateContext _context;
    private readonly StringBuilder _text = new();
    private readonly int? _indent;

    private TemplateText(TemplateContext context, int? indent) => (_context, _indent) = (context, indent);

    /// <summary>What <c>{{ value }}</c> prints.</summary>
    public static string Of(TemplateContext context, object? value)
    {
        if (value is string or Undefined)
            return value as string ?? "";
        var writer = new TemplateText(context, null);
        writer.WriteRepr(value);
        return writer._text.ToString();
    }

    /// <summary>The filter tojson of Hugging Face: no HTML escapes, text beyond ASCII as it is, ", " and ": " between.
    /// </summary>
    public static string ToJson(TemplateContext context, object? value, int? indent)
    {
        var writer = new TemplateText(context, indent);
        writer.WriteJson(value, 0);
        return writer._text.ToString();
    }

    private void WriteRepr(object? value)
    {
        Check();
        switch (value)
        {
            case null:
                _text.Append("None");
                break;
            case bool b:
                _text.Append(b ? "True" : "False");
                break;
            case string text:
                WriteQuotedRepr(text);
                break;
            case TemplateTuple tuple:
                WriteAll("(", tuple.Count == 1 ? ",)" : ")", tuple, WriteRepr);
                break;
            case List<object?> list:
                WriteAll("[", "]", list, WriteRepr);
                break;
            case TemplateMap map:
                WriteAll("{", "}", map, member =>
                {
                    WriteQuotedRepr(member.Key);
                    _text.Append(": ");
                    WriteRepr(member.Value);
                });
                break;
            default:
                _text.Append(Number(value)
                    ?? throw _context.Error($"{TemplateValues.KindOf(value)} cannot be printed"));
                break;
        }
    }

    private void WriteAll<T>(string open, string close, IEnumerable<T> items, Action<T> write)
    {
        _text.Append(open);
        var first = true;
        foreach (var item in items)
        {
            _text.Append(first ? "" : ", ");
            first = false;
            write(item);
        }

        _text.Append(close);
    }

    private void WriteQuotedRepr(string text)
    {
        var quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        _text.Append(quote);
        foreach (var c in text)
        {
            if (c == quote || c == '\\')
                _text.Append('\\').Append(c);
            else
                _text.Append(c switch { '\n' => "\\n", '\r' => "\\r", '\t' => "\\t", _ => c.ToString() });
        }

        _text.Append(quote);
    }

    private void WriteJson(object? value, int depth)
    {
        Check();
        switch (value)
        {
            case null:
                _text.Append("null");
                break;
            case bool b:
                _text.Append(b ? "true" : "false");
                break;
            case string text:
                WriteJsonString(text);
                break;
            case List<object?> list:
                WriteJsonItems('[', ']', list, depth, item => WriteJson(item, depth + 1));
                break;
            case TemplateMap map:
                WriteJsonItems('{', '}', map, depth, member =>
                {
                    WriteJsonString(member.Key);
                    _text.Append(": ");
                    WriteJson(member.Value, depth + 1);
                });
                break;
            default:
                _text.Append(Number(value)
                    ?? throw _context.Error($"tojson cannot write {TemplateValues.KindOf(value)}"));
                break;
        }
    }

    private void WriteJsonItems<T>(char open, char close, ICollection<T> items, int depth, Action<T> write)
    {
        _text.Append(open);
        var first = true;
        foreach (var item in items)
        {
            if (!first)
                _text.Append(_indent is null ? ", " : ",");
            first = false;
            BreakLine(depth + 1);
            write(item);
        }

        if (items.Count > 0)
            BreakLine(depth);
        _text.Append(close);
    }

    private void BreakLine(int depth)
    {
        if (_indent is { } indent)
            _text.Append('\n').Append(' ', indent * depth);
    }

    private void WriteJsonString(string text)
    {
        _text.Append('"');
        foreach (var c in text)
        {
            switch (c)
            {
                case '"' or '\\':
                    _text.Append('\\').Append(c);
                    break;
                case '\n':
                    _text.Append("\\n");
                    break;
                case '\r':
                    _text.Append("\\r");
                    break;
                case '\t':
                    _text.Append("\\t");
                    break;
                case '\b':
                    _text.Append("\\b");
                    break;
                case '\f':
                    _text.Append("\\f");
                    break;
                case < ' ':
                    _text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
                    break;
                default:
                    _text.Append(c);
                    break;
            }
        }

        _text.Append('"');
    }

    private static string? Number(object? value) => value switch
    {
        long whole => whole.ToString(CultureInfo.InvariantCulture),
        double real => PythonFloat.Format(real),
        _ => null,
    };

    private void Check()
    {
        _context.Step();
        if (_text.Length > TemplateContext.CharsMax)
            _context.DemandChars(_text.Length);
    }
}
