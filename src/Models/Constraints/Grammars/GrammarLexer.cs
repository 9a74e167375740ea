using System.Globalization;
using System.Text;

namespace Krewe.Models;

/// <summary>What a grammar's text is made of.</summary>
internal enum GrammarTokenKind
{
    /// <summary>The name of a rule.</summary>
    Name,

    /// <summary>::=, := or a colon, behind a rule's name.</summary>
    Defines,

    /// <summary>A text in quotes.</summary>
    Literal,

    /// <summary>A text in quotes with an i behind them: in either case.</summary>
    AnyCaseLiteral,

    /// <summary>A set of characters in brackets.</summary>
    Class,

    /// <summary>A regular expression in slashes.</summary>
    Regex,

    /// <summary>One of ( ) | * + ? and the dot.</summary>
    Sign,

    /// <summary>Two dots between two literals.</summary>
    Range,

    /// <summary>A count in braces.</summary>
    Count,

    End,
}

/// <param name="Text">Without quotes, slashes and braces; escapes of a literal are resolved.</param>
/// <param name="Line">From 1.</param>
internal readonly record struct GrammarToken(GrammarTokenKind Kind, string Text, int Line);

/// <summary>Cuts a grammar in GBNF, EBNF or Lark's form into tokens. Comments begin with # or //.</summary>
internal sealed class GrammarLexer(string text)
{
    private const string Signs = "()|*+?.";

    private int _at;
    private int _line = 1;

    public List<GrammarToken> Read()
    {
        List<GrammarToken> tokens = [];
        while (true)
        {
            SkipBlanks();
            if (_at == text.Length) break;
            tokens.Add(ReadToken());
        }

        tokens.Add(new GrammarToken(GrammarTokenKind.End, "", _line));
        return tokens;
    }

    private void SkipBlanks()
    {
        for (; _at < text.Length; _at++)
        {
            if (text[_at] == '\n') _line++;
            else if (text[_at] == '#' || Begins("//"))
            {
                while (_at + 1 < text.Length && text[_at + 1] != '\n') _at++;
            }
            else if (!char.IsWhiteSpace(text[_at])) return;
        }
    }

    private GrammarToken ReadToken()
    {
        var c = text[_at];
        if (char.IsAsciiLetter(c) || c == '_') return ReadName();
        if (Take("::=") || Take(":=") || Take(":")) return Make(GrammarTokenKind.Defines);
        if (Take("..")) return Make(GrammarTokenKind.Range);
        if (c is '"' or '\'')
        {
            var literal = Unescape(ReadQuoted(c));
            var isAnyCase = Begins("i") && (_at + 1 == text.Length || !IsNamePart(text[_at + 1]));
            if (isAnyCase) _at++;
            return Make(isAnyCase ? GrammarTokenKind.AnyCaseLiteral : GrammarTokenKind.Literal, literal);
        }

        if (c == '/') return Make(GrammarTokenKind.Regex, ReadQuoted('/'));
        if (c == '[') return Make(GrammarTokenKind.Class, $"[{ReadQuoted(']')}]");
        if (c == '{') return Make(GrammarTokenKind.Count, ReadQuoted('}'));
        if (c == '%')
        {
            throw Error("has a directive beginning with %, which is not supported; write the rules out, white space "
                + "included");
        }

        if (!Signs.Contains(c, StringComparison.Ordinal)) throw Error($"has a '{c}' that cannot stand there");
        _at++;
        return Make(GrammarTokenKind.Sign, c.ToString());
    }

    private GrammarToken ReadName()
    {
        var begin = _at;
        while (_at < text.Length && IsNamePart(text[_at])) _at++;
        return Make(GrammarTokenKind.Name, text[begin.._at]);
    }

    private static bool IsNamePart(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '-';

    /// <summary>Up to a sign that no backslash stands before; a pair of them stays as it is.</summary>
    private string ReadQuoted(char end)
    {
        var begin = ++_at;
        for (; _at < text.Length && text[_at] != end; _at++)
        {
            if (text[_at] == '\n') throw Error($"has a line break before the closing {end}");
            if (text[_at] == '\\') _at++;
        }

        if (_at >= text.Length) throw Error($"has no closing {end}");
        return text[begin.._at++];
    }

    private string Unescape(string quoted)
    {
        if (!quoted.Contains('\\', StringComparison.Ordinal)) return quoted;
        var result = new StringBuilder();
        for (var i = 0; i < quoted.Length; i++)
        {
            if (quoted[i] != '\\')
            {
                result.Append(quoted[i]);
                continue;
            }

            var escape = quoted[++i];
            var digits = escape switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
            if (digits == 0)
            {
                result.Append(escape switch { 'n' => '\n', 'r' => '\r', 't' => '\t', _ => escape });
                continue;
            }

            if (i + digits >= quoted.Length
                || !int.TryParse(
                    quoted.AsSpan(i + 1, digits), NumberStyles.AllowHexSpecifier,
                    CultureInfo.InvariantCulture, out var value)
                || !Rune.TryCreate(value, out var rune))
                throw Error($"has an escape \\{escape} that is no character");
            result.Append(rune.ToString());
            i += digits;
        }

        return result.ToString();
    }

    private bool Begins(string sign) => text.AsSpan(_at).StartsWith(sign, StringComparison.Ordinal);

    private bool Take(string sign)
    {
        if (!Begins(sign)) return false;
        _at += sign.Length;
        return true;
    }

    private GrammarToken Make(GrammarTokenKind kind, string value = "") => new(kind, value, _line);

    private ConstraintException Error(string what) => new($"line {_line} of the grammar {what}");
}
