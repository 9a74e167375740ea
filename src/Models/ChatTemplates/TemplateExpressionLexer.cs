using System.Globalization;
using System.Text;

namespace Krewe.Models;

/// <summary>Tokens inside a tag: names, literals and operators. Keeps count of open brackets, because "}}" inside a
/// dictionary literal does not close the tag.</summary>
internal sealed class TemplateExpressionLexer(string source, Func<string, ModelException> error)
{
    private static readonly string[] LongOperators = ["**", "//", "==", "!=", ">=", "<="];

    private int _brackets;

    public bool InBrackets => _brackets > 0;

    /// <summary>The token at <paramref name="position"/>, which must not be a blank.</summary>
    public (TemplateTokenKind Kind, string Text) Next(ref int position)
    {
        var first = source[position];
        if (first is '\'' or '"')
            return (TemplateTokenKind.String, ReadString(ref position));
        if (char.IsAsciiDigit(first))
            return ReadNumber(ref position);
        if (char.IsLetter(first) || first == '_')
            return (TemplateTokenKind.Name, ReadWhile(ref position, c => char.IsLetterOrDigit(c) || c == '_'));
        foreach (var op in LongOperators)
        {
            if (string.CompareOrdinal(source, position, op, 0, 2) == 0)
            {
                position += 2;
                return (TemplateTokenKind.Operator, op);
            }
        }

        if (!"+-*/%~()[]{}<>=.:|,".Contains(first, StringComparison.Ordinal))
            throw error($"the character \"{first}\" is not expected here");
        _brackets += first is '(' or '[' or '{' ? 1 : first is ')' or ']' or '}' ? -1 : 0;
        position++;
        return (TemplateTokenKind.Operator, first.ToString());
    }

    private string ReadWhile(ref int position, Func<char, bool> accept)
    {
        var start = position;
        while (position < source.Length && accept(source[position]))
            position++;
        return source[start..position];
    }

    private (TemplateTokenKind Kind, string Text) ReadNumber(ref int position)
    {
        var text = ReadWhile(ref position, c => char.IsAsciiDigit(c) || c == '_');
        var isFloat = false;
        if (position + 1 < source.Length && source[position] == '.' && char.IsAsciiDigit(source[position + 1]))
        {
            isFloat = true;
            position++;
            text += "." + ReadWhile(ref position, char.IsAsciiDigit);
        }

        var digitsAt = position + (position + 1 < source.Length && source[position + 1] is ('+' or '-') ? 2 : 1);
        if (digitsAt < source.Length && source[position] is ('e' or 'E') && char.IsAsciiDigit(source[digitsAt]))
        {
            isFloat = true;
            text += source[position..digitsAt];
            position = digitsAt;
            text += ReadWhile(ref position, char.IsAsciiDigit);
        }

        return (isFloat ? TemplateTokenKind.Float : TemplateTokenKind.Integer,
            text.Replace("_", "", StringComparison.Ordinal));
    }

    private string ReadString(ref int position)
    {
        var quote = source[position++];
        var text = new StringBuilder();
        while (position < source.Length && source[position] != quote)
        {
            var c = source[position++];
            if (c == '\\' && position < source.Length)
                ReadEscape(text, ref position);
            else
                text.Append(c);
        }

        if (position == source.Length)
            throw error("a string is not closed");
        position++;
        return text.ToString();
    }

    private void ReadEscape(StringBuilder text, ref int position)
    {
        var c = source[position++];
        switch (c)
        {
            case 'n':
                text.Append('\n');
                break;
            case 't':
                text.Append('\t');
                break;
            case 'r':
                text.Append('\r');
                break;
            case 'x':
                text.Append((char)ReadHex(ref position, 2));
                break;
            case 'u':
                text.Append((char)ReadHex(ref position, 4));
                break;
            case '\\' or '\'' or '"':
                text.Append(c);
                break;
            case '\n':
                break;
            default:
                // As Python: an unknown escape stays as written.
                text.Append('\\').Append(c);
                break;
        }
    }

    private int ReadHex(ref int position, int digits)
    {
        if (position + digits > source.Length || !int.TryParse(
            source.AsSpan(position, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
            out var value))
            throw error($"an escape needs {digits} hexadecimal digits");
        position += digits;
        return value;
    }
}
