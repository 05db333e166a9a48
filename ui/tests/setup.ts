/** Tests of components and canvases get a browser's objects; the others run without. */
if (typeof window !== 'undefined') await import('./dom')

export {}
