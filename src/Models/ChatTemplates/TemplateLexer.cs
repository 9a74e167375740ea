namespace Krewe.Models;

/// <summary>
/// Template source to tokens, with whitespace as Hugging Face sets Jinja up: trim_blocks (a tag or comment swallows the
/// line break right after it), lstrip_blocks (and the blanks before it on its line), one line break at the end of the
/// source dropped. Rules: https://jinja.palletsprojects.com/en/stable/templates/#whitespace-control.
/// </summary>
internal sealed class TemplateLexer
{
    private readonly string _source;
    private readonly List<TemplateToken> _tokens = [];
    private int _position;
    private int _line = 1;
    private int _lineCountedTo;

    private TemplateLexer(string source)
    {
        _source = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        if (_source.EndsWith('\n'))
            _source = _source[..^1];
    }

    public static List<TemplateToken> Lex(string source) => new TemplateLexer(source).Run();

    private List<TemplateToken> Run()
    {
        while (NextTag() is { } open)
        {
            AddTextBefore(open);
            _position = open + 2;
            if (_position < _source.Length && _source[_position] is '-' or '+')
                _position++;
            switch (_source[open + 1])
            {
                case '#':
                    SkipComment();
                    break;
                case '{':
                    LexInside(TemplateTokenKind.OutputBegin, TemplateTokenKind.OutputEnd, "}}");
                    break;
                default:
                    if (!TryLexRaw())
                        LexInside(TemplateTokenKind.TagBegin, TemplateTokenKind.TagEnd, "%}");
                    break;
            }
        }

        AddText(_source[_position..]);
        _position = _source.Length;
        Add(TemplateTokenKind.End, "");
        return _tokens;
    }

    private int? NextTag()
    {
        for (var i = _position; i + 1 < _source.Length; i++)
        {
            if (_source[i] == '{' && _source[i + 1] is ('{' or '%' or '#'))
                return i;
        }

        return null;
    }

    private void AddTextBefore(int open) => AddText(StripBefore(_source[_position..open], open));

    /// <summary>What of the text before a tag stays.</summary>
    private string StripBefore(string text, int open)
    {
        var sign = open + 2 < _source.Length ? _source[open + 2] : '\0';
        if (sign == '-')
            return text.TrimEnd();
        if (sign == '+' || _source[open + 1] == '{')
            return text;
        var lineStart = text.LastIndexOf('\n') + 1;
        var startsLine = lineStart > 0 || _position == 0 || _source[_position - 1] == '\n';
        return startsLine && string.IsNullOrWhiteSpace(text[lineStart..]) ? text[..lineStart] : text;
    }

    private void SkipComment()
    {
        var end = _source.IndexOf("#}", _position, StringComparison.Ordinal);
        if (end < 0)
            throw Error("a comment is not closed with \"#}\"");
        _position = end + 2;
        SkipAfter(_source[end - 1], trimsLineBreak: true);
    }

    /// <summary>{% raw %}...{% endraw %} becomes one text.</summary>
    private bool TryLexRaw()
    {
        var begin = _position;
        if (!TrySkipTag("raw", out var sign))
        {
            _position = begin;
            return false;
        }

        SkipAfter(sign, trimsLineBreak: true);
        for (var open = _position; (open = _source.IndexOf("{%", open, StringComparison.Ordinal)) >= 0; open += 2)
        {
            var contentStart = _position;
            _position = open + 2;
            if (_position < _source.Length && _source[_position] is '-' or '+')
                _position++;
            var isEnd = TrySkipTag("endraw", out sign);
            var afterTag = _position;
            _position = contentStart;
            if (!isEnd)
                continue;
            AddText(StripBefore(_source[contentStart..open], open));
            _position = afterTag;
            SkipAfter(sign, trimsLineBreak: true);
            return true;
        }

        throw Error("{% raw %} is not closed with {% endraw %}");
    }

    /// <summary>Skips <c>name %}</c>; <paramref name="sign"/> is the character before "%}".</summary>
    private bool TrySkipTag(string name, out char sign)
    {
        SkipBlanks();
        sign = ' ';
        if (string.CompareOrdinal(_source, _position, name, 0, name.Length) != 0)
            return false;
        _position += name.Length;
        SkipBlanks();
        if (_position < _source.Length && _source[_position] is '-' or '+')
            sign = _source[_position++];
        if (string.CompareOrdinal(_source, _position, "%}", 0, 2) != 0)
            return false;
        _position += 2;
        return true;
    }

    private void LexInside(TemplateTokenKind begin, TemplateTokenKind end, string close)
    {
        Add(begin, "");
        var expressions = new TemplateExpressionLexer(_source, Error);
        while (true)
        {
            SkipBlanks();
            if (_position == _source.Length)
                throw Error($"a tag is not closed with \"{close}\"");
            var signed = _source[_position] is '-' or '+' && StartsAt(_position + 1, close);
            if (!expressions.InBrackets && (signed || StartsAt(_position, close)))
            {
                var sign = signed ? _source[_position] : ' ';
                _position += signed ? 3 : 2;
                Add(end, "");
                SkipAfter(sign, trimsLineBreak: end == TemplateTokenKind.TagEnd);
                return;
            }

            var (kind, text) = expressions.Next(ref _position);
            Add(kind, text);
        }
    }

    private bool StartsAt(int position, string text) =>
        string.CompareOrdinal(_source, position, text, 0, text.Length) == 0;

    private void SkipAfter(char sign, bool trimsLineBreak)
    {
        if (sign == '-')
            SkipBlanks();
        else if (sign != '+' && trimsLineBreak && _position < _source.Length && _source[_position] == '\n')
            _position++;
    }

    private void SkipBlanks()
    {
        while (_position < _source.Length && char.IsWhiteSpace(_source[_position]))
            _position++;
    }

    private void AddText(string text)
    {
        if (text.Length > 0)
            Add(TemplateTokenKind.Text, text);
    }

    private void Add(TemplateTokenKind kind, string text) => _tokens.Add(new TemplateToken(kind, text, CurrentLine()));

    private int CurrentLine()
    {
        for (; _lineCountedTo < _position; _lineCountedTo++)
            _line += _source[_lineCountedTo] == '\n' ? 1 : 0;
        return _line;
    }

    private ModelException Error(string complaint) =>
        new($"The chat template cannot be read: line {CurrentLine()}: {complaint}.");
}
