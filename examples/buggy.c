int greet(const char *src)
{
    char name[32];
    strcpy(name, src);
    puts(name);
    return 0;
}
